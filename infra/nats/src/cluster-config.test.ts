import { describe, expect, test } from '@jest/globals';
import { ROLES, type Role } from '@meridian/contracts';
import { type NatsConfigOptions, natsConfig, Variable } from './index.ts';

/** Goal: the configuration of a region with several brokers holds no secret, and lets nobody but them into the cluster. */
const variable = (name: string) => new Variable(name);
const topology = {
  regions: ['beijing', 'shanghai', 'guangzhou'].map((name) => ({
    ...{ name, latitude: 0, longitude: 0, zone: 'cn', capacity: 1 },
    ...{ leafAddress: `${name}.example:7422`, grpcAddress: `${name}.example:7443` },
  })),
  links: [],
};

function options(more: Partial<NatsConfigOptions> = {}): NatsConfigOptions {
  const keys = Object.fromEntries(ROLES.map((role) => [role, variable(`NKEY_${role.toUpperCase()}`)]));
  return {
    topology,
    region: 'shanghai',
    ports: { client: 4222, leaf: 7422, monitor: 8222 },
    monitorHost: '0.0.0.0',
    storeDirectory: '/data',
    certificates: { ca: '/tls/ca.pem', cert: '/tls/cert.pem', key: '/tls/key.pem' },
    publicKeys: keys as Record<Role, Variable>,
    links: {
      beijing: { user: 'shanghai', password: variable('LINK_BEIJING_PASSWORD'), url: variable('LINK_BEIJING_URL') },
      guangzhou: {
        user: 'guangzhou',
        password: variable('LINK_GUANGZHOU_PASSWORD'),
        url: variable('LINK_GUANGZHOU_URL'),
      },
    },
    advertise: 'shanghai.example:7422',
    listenHost: '0.0.0.0',
    cluster: {
      serverName: variable('SERVER_NAME'),
      port: 6222,
      routes: [variable('ROUTE_0'), variable('ROUTE_1'), variable('ROUTE_2')],
      user: 'cluster',
      password: variable('ROUTE_PASSWORD'),
      pidFile: '/run/nats.pid',
    },
    ...more,
  };
}

describe('a region with several brokers', () => {
  test('keys, passwords and URLs come from the environment, in whole values', () => {
    const text = natsConfig(options());
    expect(text).toContain('server_name: $SERVER_NAME');
    expect(text).toContain('routes: [$ROUTE_0, $ROUTE_1, $ROUTE_2]');
    expect(text).toMatch(/remotes: \[\n\s+\{\n\s+url: \$LINK_BEIJING_URL\n/);
    expect(text).toMatch(/user: "guangzhou"\n\s+password: \$LINK_GUANGZHOU_PASSWORD/);
    expect(text).toContain('key: $JS_KEY');
    expect(text).toContain('nkey: $NKEY_WORKER');
    expect(text).toContain('http: "0.0.0.0:8222"');
    expect(text).not.toMatch(/tls:\/\/|"U[A-Z2-7]{55}"/);
  });

  test('the cluster port asks for a certificate and a password: the certificate of a worker is not enough', () => {
    const cluster = natsConfig(options()).split('\ncluster {')[1]?.split('\n}')[0] ?? '';
    expect(cluster).toContain('verify: true');
    expect(cluster).toMatch(/user: "cluster"\n\s+password: \$ROUTE_PASSWORD/);
  });

  test('every write is on disk before it is acknowledged where the broker can do that', () => {
    for (const version of ['2.11.0', '2.12.3', '3.0.0'])
      expect(natsConfig(options({ brokerVersion: version }))).toContain('sync_interval: "always"');
    for (const version of ['2.9.10', '2.10.27', 'unknown'])
      expect(natsConfig(options({ brokerVersion: version }))).not.toContain('sync_interval');
    expect(natsConfig(options())).not.toContain('sync_interval');
  });

  test('refuses a password of the environment without the URL of the other side', () => {
    const links = { ...options().links, beijing: { user: 'shanghai', password: variable('P') } };
    expect(() => natsConfig(options({ links }))).toThrow(/links\.beijing: a password of the environment needs a URL/);
  });
});
