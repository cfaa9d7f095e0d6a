import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ROLES, type Role } from '@meridian/contracts';
import type { Topology } from '@meridian/topology';
import { confText, Variable } from './conf-text.ts';
import { DEAD_ADDRESS, docsSubjects, type NatsConfigOptions, natsConfig } from './index.ts';

const NAMES = ['beijing', 'shanghai', 'guangzhou'] as const;

const topology: Topology = {
  regions: NAMES.map((name) => ({
    ...{ name, latitude: 0, longitude: 0, zone: 'cn', capacity: 1 },
    ...{ leafAddress: `${name}.example:7422`, grpcAddress: `${name}.example:7443` },
  })),
  links: [],
};

function options(region: string, more: Partial<NatsConfigOptions> = {}): NatsConfigOptions {
  const peers = NAMES.filter((name) => name !== region);
  const publicKeys = Object.fromEntries(ROLES.map((role, i) => [role, `U${'ABCDEFG'[i]?.repeat(55)}`]));
  return {
    topology,
    region,
    ports: { client: 4222, leaf: 7422 },
    storeDirectory: '/data/js',
    certificates: { ca: '/tls/ca.pem', cert: '/tls/cert.pem', key: '/tls/key.pem' },
    publicKeys: publicKeys as Record<Role, string>,
    links: Object.fromEntries(peers.map((peer) => [peer, { user: region, password: `secret-of-${peer}` }])),
    advertise: DEAD_ADDRESS,
    listenHost: '127.0.0.1',
    ...more,
  };
}

/** Text of the block that opens with this line, without its ends. */
function block(text: string, opening: string): string {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.trim() === opening);
  expect([opening, start]).not.toEqual([opening, -1]);
  const indent = lines[start]?.match(/^ */)?.[0] ?? '';
  const end = lines.findIndex((line, i) => i > start && (line === `${indent}}` || line === `${indent}]`));
  return lines.slice(start + 1, end).join('\n');
}

describe('natsConfig', () => {
  test('of two regions the later dials the earlier', () => {
    const dialled = (region: string) =>
      [...natsConfig(options(region)).matchAll(/url: "(.*)"/g)].map((match) => match[1]);
    expect(dialled('beijing')).toEqual([]);
    expect(dialled('shanghai')).toEqual(['tls://shanghai:secret-of-beijing@beijing.example:7422']);
    expect(dialled('guangzhou')).toEqual([
      'tls://guangzhou:secret-of-beijing@beijing.example:7422',
      'tls://guangzhou:secret-of-shanghai@shanghai.example:7422',
    ]);
    const accepted = (region: string) =>
      [...natsConfig(options(region)).matchAll(/user: .*\n\s+password: .*\n\s+account: "(.*)"/g)].map(
        (match) => match[1],
      );
    expect(accepted('beijing')).toEqual(['L_shanghai', 'L_guangzhou']);
    expect(accepted('guangzhou')).toEqual([]);
    expect(block(natsConfig(options('guangzhou')), 'leafnodes {')).not.toContain('listen');
  });

  test('exports what the table lets cross, of the own region to the links, of the peer from the link', () => {
    const text = natsConfig(options('shanghai'));
    const app = block(text, 'APP {');
    const offered = block(app, 'exports: [').split(/(?<=\n\s+\})/);
    const exportedTo = (account: string) =>
      offered
        .filter((one) => one.includes(`"${account}"`))
        .map((one) => (one.match(/(service|stream): "(.*)"/) ?? []).slice(1));
    const crossing = (region: string) => [
      ['service', `meridian.${region}.task.*.*`],
      ['service', `meridian.${region}.rpc.scheduler.ping`],
      ['service', `meridian.${region}.rpc.scheduler.trace`],
      ['service', `meridian.${region}.rpc.sync.fetch`],
      ['service', `meridian.${region}.rpc.sync.blob`],
      ['stream', `meridian.${region}.sync.delta`],
      ['stream', `meridian.${region}.sync.head`],
      ['stream', `meridian.${region}.telemetry`],
      ['stream', `meridian.${region}.demand`],
    ];
    for (const peer of ['beijing', 'guangzhou']) expect(exportedTo(`L_${peer}`)).toEqual(crossing('shanghai'));
    expect(exportedTo('CONSUMERS').map(([, name]) => name)).toEqual([
      '$JS.ACK.EVENTS.>',
      '$JS.API.CONSUMER.CREATE.EVENTS.*.meridian.shanghai.event.>',
      '$JS.API.CONSUMER.INFO.EVENTS.*',
      '$JS.API.CONSUMER.MSG.NEXT.EVENTS.*',
      'meridian.shanghai.event.*.*.*',
    ]);
    const link = block(text, 'L_guangzhou {');
    expect([...block(link, 'exports: [').matchAll(/(service|stream): "(.*)"/g)].map((match) => match.slice(1))).toEqual(
      crossing('guangzhou'),
    );
    for (const name of ['state', 'job', 'event', 'audit', 'spans', 'plan'])
      expect(`${block(app, 'imports: [')}${link}`).not.toContain(`.${name}`);
  });

  test('asks for certificates on both ports, encrypts the store, names its domain', () => {
    const text = natsConfig(options('beijing'));
    expect(text.match(/verify: true/g)).toHaveLength(2);
    expect(block(text, 'jetstream {')).toContain('key: $JS_KEY');
    expect(block(text, 'jetstream {')).toContain('domain: "beijing"');
    expect(natsConfig(options('beijing', { jetstreamKey: 'key-1' }))).toContain('key: "key-1"');
    expect(text).toContain('no_advertise: true');
    expect(text).not.toContain('no_auth_user');
    // Its list of replies makes brokers slow: docs/adr/005-answers-by-subject.md.
    expect(text).not.toContain('allow_responses');
    expect(text).not.toMatch(/^http/m);
    expect(natsConfig(options('beijing', { ports: { client: 1, leaf: 2, monitor: 3 } }))).toContain(
      'http: "127.0.0.1:3"',
    );
  });

  test('the auditor is there only when asked for', () => {
    expect(natsConfig(options('beijing'))).not.toContain(`U${'G'.repeat(55)}`);
    expect(natsConfig(options('beijing'))).not.toContain('auditor');
    const audited = natsConfig(options('beijing', { auditor: true }));
    expect(audited).toContain(`U${'G'.repeat(55)}`);
    expect(audited).toContain('user: "auditor_shanghai"');
  });

  test('a single region has no links', () => {
    const text = natsConfig(options('beijing', { topology: { regions: topology.regions.slice(0, 1), links: [] } }));
    expect(text).not.toContain('leafnodes');
    expect(text).not.toContain('L_');
  });

  test('refuses what would start a broker without secrets, naming all of it', () => {
    const broken = options('beijing', {
      links: {},
      storeDirectory: 'data',
      publicKeys: { ...options('beijing').publicKeys, worker: 'SUAB' },
    });
    expect(() => natsConfig(broken)).toThrow(
      expect.objectContaining({
        reason: 'NATS_CONFIG_INVALID',
        message:
          'links.shanghai: there is no password for the link; links.guangzhou: there is no password for the link; ' +
          'publicKeys.worker: not the public nkey of a user; storeDirectory: not absolute: data',
      }),
    );
    expect(() => natsConfig(options('tokyo'))).toThrow(expect.objectContaining({ reason: 'REGION_UNKNOWN' }));
  });
});

describe('confText', () => {
  test('quotes what could be read as something else', () => {
    expect(confText({ a: '1k', 'b-c': { d: [1, true, 'x "y" \\z'] }, e: new Variable('KEY'), f: [] })).toBe(
      'a: "1k"\n"b-c" {\n  d: [1, true, "x \\"y\\" \\\\z"]\n}\ne: $KEY\nf: []\n',
    );
    expect(() => confText({ a: 'x\ny: z' })).toThrow(/control characters/);
  });
});

test('docs/subjects.md is up to date', () => {
  // When this fails: node infra/nats/src/write-docs.ts
  expect(readFileSync(new URL('../../../docs/subjects.md', import.meta.url), 'utf8')).toBe(docsSubjects());
});
