import { isAbsolute } from 'node:path';
import { type Role, STREAMS } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { peersOf, type Topology } from '@meridian/topology';
import { accounts, linkAccount, systemAccount } from './accounts.ts';
import { type BrokerCluster, clusterSettings, syncInterval } from './cluster.ts';
import { type ConfValue, confText, type Secret, Variable } from './conf-text.ts';

const MIB = 2 ** 20;
/** The largest message of any stream (a job's record, 4 MiB) with room for its headers. */
const PAYLOAD_BYTES_MAX = 8 * MIB;
/** Short-lived consumers keep their state in memory; streams do not. */
const MEMORY_BYTES_MAX = 64 * MIB;
/** The server reserves what the streams may grow to; the rest is for consumers' state. */
const FILE_BYTES_MAX = STREAMS.reduce((sum, { bytesMax }) => sum + bytesMax, 0) + 256 * MIB;
/** A region has tens of service processes; a flood of connections must not eat the broker's memory. */
const CONNECTIONS_MAX = 1024;
/** A connection that answers no ping for three intervals is dead: 6 s, which also finds black holes between regions. */
const PING = { ping_interval: '2s', ping_max: 2 };
/** A peer that takes nothing for this long is cut off. */
const WRITE_DEADLINE = '5s';
const TLS_TIMEOUT_S = 5;
/** Between attempts to reach a peer's broker. */
const LEAF_RECONNECT_S = 1;
/** The variable of the environment that holds the storage key when none is given. */
export const JETSTREAM_KEY_VARIABLE = 'JS_KEY';
/**
 * For `advertise` when all traffic must go through the addresses of the topology: brokers tell each other their leaf
 * addresses whatever the configuration says, so they tell one that leads nowhere.
 */
export const DEAD_ADDRESS = '127.0.0.1:1';

export interface NatsConfigOptions {
  /** As seen from this region: peers' leaf addresses are what its broker dials. */
  readonly topology: Topology;
  readonly region: string;
  /** `monitor` is HTTP without authentication: off when not given. */
  readonly ports: { readonly client: number; readonly leaf: number; readonly monitor?: number };
  /** Default 127.0.0.1: the monitor tells everybody names and counts. */
  readonly monitorHost?: string;
  /** Absolute path. */
  readonly storeDirectory: string;
  /** Absolute paths of PEM files, the broker's identity. */
  readonly certificates: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly publicKeys: Readonly<Record<Role, Secret>>;
  /** By peer; both ends of a link are given the same. */
  readonly links: Readonly<Record<string, LinkSecret>>;
  /** Encrypts what JetStream stores; from the environment (`JS_KEY`) when not given. */
  readonly jetstreamKey?: string;
  /** host:port that is told to peers: the region's own leaf address, or `DEAD_ADDRESS`. */
  readonly advertise: string;
  readonly listenHost: string;
  /** Tests only: a user that sees everything in the application's account and one in each link's. */
  readonly auditor?: boolean;
  /** The region's brokers, when there are several. */
  readonly cluster?: BrokerCluster;
  /** Such as `2.11.4`: newer ones are told what older ones refuse. Not given: the floor. */
  readonly brokerVersion?: string;
}

/** A whole URL where the password is in the environment: the server puts variables in the place of whole values only. */
export interface LinkSecret {
  readonly user: string;
  readonly password: Secret;
  /** What the dialling side dials. Default: made of user, password and the peer's leaf address. */
  readonly url?: Variable;
}

/**
 * The whole nats-server configuration of one region, for nats-server 2.9.10 or later. It holds passwords: write it for
 * the owner only.
 *
 * 1. Of two regions the one later in the topology dials the earlier, so there is one connection for each pair.
 * 2. Both ports ask for a certificate of the installation's authority; roles are told apart by nkey.
 * @throws Failure NOT_FOUND / REGION_UNKNOWN; INVALID_ARGUMENT / NATS_CONFIG_INVALID naming what is missing.
 */
export function natsConfig(o: NatsConfigOptions): string {
  const peers = peersOf(o.topology, o.region).map((peer) => peer.name);
  check(o, peers);
  const { ca, cert, key } = o.certificates;
  const tls = { cert_file: cert, key_file: key, ca_file: ca };
  return confText({
    server_name: o.cluster?.serverName ?? `${o.region}-1`,
    listen: `${o.listenHost}:${o.ports.client}`,
    ...(o.ports.monitor !== undefined && { http: `${o.monitorHost ?? '127.0.0.1'}:${o.ports.monitor}` }),
    tls: { ...tls, verify: true, timeout: TLS_TIMEOUT_S },
    max_payload: PAYLOAD_BYTES_MAX,
    max_connections: CONNECTIONS_MAX,
    ...PING,
    write_deadline: WRITE_DEADLINE,
    jetstream: {
      store_dir: o.storeDirectory,
      domain: o.region,
      max_mem: MEMORY_BYTES_MAX,
      max_file: FILE_BYTES_MAX,
      key: o.jetstreamKey ?? new Variable(JETSTREAM_KEY_VARIABLE),
      cipher: 'aes',
      ...syncInterval(o.brokerVersion),
    },
    ...(o.cluster !== undefined && clusterSettings(o.cluster, o.region, o.listenHost, tls)),
    system_account: systemAccount,
    accounts: accounts({ ...o, peers, auditor: o.auditor === true }),
    ...(peers.length > 0 && { leafnodes: leafnodes(o, tls) }),
  });
}

function leafnodes(o: NatsConfigOptions, tls: { [key: string]: string }): { [key: string]: ConfValue } {
  const order = o.topology.regions.map((region) => region.name);
  const own = order.indexOf(o.region);
  const dialled = o.topology.regions.slice(0, own);
  const accepted = order.slice(own + 1);
  const credential = (peer: string): LinkSecret => o.links[peer] ?? { user: '', password: '' };
  return {
    reconnect: LEAF_RECONNECT_S,
    // The last region accepts nobody, so it does not listen: a leaf port without users of its own falls back to the
    // clients' credentials.
    ...(accepted.length > 0 && {
      listen: `${o.listenHost}:${o.ports.leaf}`,
      advertise: o.advertise,
      no_advertise: true,
      tls: { ...tls, verify: true, timeout: TLS_TIMEOUT_S },
      authorization: { users: accepted.map((peer) => acceptedUser(credential(peer), linkAccount(peer))) },
    }),
    remotes: dialled.map(({ name, leafAddress }) => {
      return {
        url: dialledUrl(credential(name), leafAddress),
        account: linkAccount(name),
        tls,
      };
    }),
  };
}

function acceptedUser({ user, password }: LinkSecret, account: string): ConfValue {
  return { user, password, account };
}

function dialledUrl({ user, password, url }: LinkSecret, address: string): ConfValue {
  if (url !== undefined) return url;
  return `tls://${encodeURIComponent(user)}:${encodeURIComponent(String(password))}@${address}`;
}

function check(o: NatsConfigOptions, peers: readonly string[]): void {
  const problems: string[] = [];
  for (const peer of peers)
    if (!o.links[peer]?.password) problems.push(`links.${peer}: there is no password for the link`);
  for (const [peer, { password, url }] of Object.entries(o.links))
    if (password instanceof Variable && url === undefined)
      problems.push(`links.${peer}: a password of the environment needs a URL of the environment`);
  for (const [role, key] of Object.entries(o.publicKeys))
    if (!(key instanceof Variable) && !/^U[A-Z2-7]{55}$/.test(key))
      problems.push(`publicKeys.${role}: not the public nkey of a user`);
  const paths = { storeDirectory: o.storeDirectory, ...o.certificates };
  for (const [name, path] of Object.entries(paths))
    if (!isAbsolute(path)) problems.push(`${name}: not absolute: ${path}`);
  if (problems.length > 0)
    throw new Failure('INVALID_ARGUMENT', problems.join('; '), { reason: 'NATS_CONFIG_INVALID' });
}
