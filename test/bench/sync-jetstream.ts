import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePort } from '@meridian/local';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { NatsServer, natsServerBinary } from '../support/nats-server.ts';
import { until } from '../support/region-brokers.ts';
import { sharedMs } from './sync-order.ts';
import { REPLICAS, Star, type StarFigures } from './sync-star.ts';
import { dealt, type Update } from './sync-workload.ts';

const STREAM = 'KV';
const PRIMARY = 'primary';
const WRITERS = 3;
const TIMEOUT_MS = 30_000;
const POLL_MS = 1;

/**
 * A stream that keeps the last value of a key, and a mirror in each of two further domains over emulated leaf links.
 * All writers write at the primary: the last one there wins, and nobody hears of the others.
 */
export async function jetstreamMirrors(updates: readonly Update[], batch: number): Promise<StarFigures> {
  const star = new Star();
  const servers: NatsServer[] = [];
  const connections: NatsConnection[] = [];
  try {
    const leafPort = await freePort();
    const plain = await leafOptions();
    const leaf = `leafnodes { listen: "127.0.0.1:${leafPort}", no_advertise: true${plain} }`;
    const primary = await NatsServer.start({ domain: PRIMARY, configuration: leaf });
    servers.push(primary);
    for (const replica of REPLICAS) {
      const port = await star.open(replica, leafPort);
      const remote = `leafnodes { remotes: [{ url: "nats-leaf://127.0.0.1:${port}"${plain} }] }`;
      servers.push(await NatsServer.start({ domain: replica.name, configuration: remote }));
    }
    for (const { url } of servers) connections.push(await connect({ servers: url }));
    return await measure(connections, star, updates, batch);
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
    await Promise.all(servers.map((server) => server.stop()));
    await star.close();
  }
}

async function measure(
  connections: readonly NatsConnection[],
  star: Star,
  updates: readonly Update[],
  batch: number,
): Promise<StarFigures> {
  const [primary, ...mirrors] = connections;
  if (primary === undefined) throw new RangeError('no primary');
  const stream = { name: STREAM, max_msgs_per_subject: 1, storage: 'file', discard: 'new' };
  await api(primary, `STREAM.CREATE.${STREAM}`, { ...stream, subjects: ['kv.>'] });
  const mirror = { name: STREAM, external: { api: `$JS.${PRIMARY}.API` } };
  for (const connection of mirrors) await api(connection, `STREAM.CREATE.${STREAM}`, { ...stream, mirror });
  await writeBatches(primary, updates.slice(0, batch), batch);
  await Promise.all(mirrors.map((connection) => untilAt(connection, batch)));
  const before = star.bytesToReplicas;
  const startMs = sharedMs();
  await Promise.all(dealt(updates, WRITERS).map((share) => writeBatches(primary, share, batch)));
  await Promise.all(mirrors.map((connection) => untilAt(connection, batch + updates.length)));
  const allSeeAllMs = sharedMs() - startMs;
  return { allSeeAllMs, bytesPerUpdate: (star.bytesToReplicas - before) / updates.length / mirrors.length };
}

async function writeBatches(connection: NatsConnection, updates: readonly Update[], batch: number): Promise<void> {
  for (let at = 0; at < updates.length; at += batch)
    await Promise.all(
      updates
        .slice(at, at + batch)
        .map(({ key, value }) => connection.request(`kv.${key.replace('/', '.')}`, value, { timeout: TIMEOUT_MS })),
    );
}

function untilAt(connection: NatsConnection, sequence: number): Promise<void> {
  return until(
    async () => {
      const { state } = (await api(connection, `STREAM.INFO.${STREAM}`)) as { state: { last_seq: number } };
      return state.last_seq >= sequence || `the mirror is at ${state.last_seq} of ${sequence}`;
    },
    TIMEOUT_MS,
    POLL_MS,
  );
}

async function api(connection: NatsConnection, call: string, request: object = {}): Promise<object> {
  const answer = (await connection.request(`$JS.API.${call}`, JSON.stringify(request), { timeout: TIMEOUT_MS })).json();
  const { error, ...rest } = answer as { error?: { description: string } };
  if (error !== undefined) throw new Error(`${call}: ${error.description}`);
  return rest;
}

/** From 2.10 on leaf links compress by themselves. */
async function leafOptions(): Promise<string> {
  const { stdout } = await promisify(execFile)(natsServerBinary(), ['--version']);
  const [, major = 0, minor = 0] = (/v(\d+)\.(\d+)/.exec(stdout) ?? []).map(Number);
  return major > 2 || minor >= 10 ? ', compression: off' : '';
}
