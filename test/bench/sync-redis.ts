import { until } from '../support/region-brokers.ts';
import { type RedisBinary, RedisClient, RedisServer } from './redis-server.ts';
import { sharedMs } from './sync-order.ts';
import { REPLICAS, Star, type StarFigures } from './sync-star.ts';
import { dealt, type Update } from './sync-workload.ts';

const WRITERS = 3;
const TIMEOUT_MS = 30_000;
const POLL_MS = 1;
/** Without it a replica's first synchronisation waits five seconds for others to join. */
const AT_ONCE = ['--repl-diskless-sync-delay', '0'];

/**
 * A primary and two replicas over emulated links, nothing on disk. All writers write at the primary: the last one there
 * wins, and nobody hears of the others.
 */
export async function redisReplicas(
  binary: RedisBinary,
  load: { readonly updates: readonly Update[]; readonly further: readonly Update[]; readonly batch: number },
): Promise<StarFigures> {
  const star = new Star();
  const servers: RedisServer[] = [];
  const clients: RedisClient[] = [];
  try {
    const primary = await RedisServer.start(binary, AT_ONCE);
    servers.push(primary);
    for (const replica of REPLICAS) {
      const port = await star.open(replica, primary.port);
      servers.push(await RedisServer.start(binary, [...AT_ONCE, '--replicaof', '127.0.0.1', `${port}`]));
    }
    for (const { port } of servers) clients.push(await RedisClient.connect(port));
    const [first, ...replicas] = clients;
    if (first === undefined) throw new RangeError('no primary');
    const writers: RedisClient[] = [];
    for (let i = 0; i < WRITERS; i++) writers.push(await RedisClient.connect(primary.port));
    clients.push(...writers);
    await untilSame(first, replicas);
    const before = star.bytesToReplicas;
    const startMs = sharedMs();
    const shares = dealt(load.updates, WRITERS);
    await Promise.all(writers.map((writer, i) => writeBatches(writer, shares[i] ?? [], load.batch)));
    await untilSame(first, replicas);
    const allSeeAllMs = sharedMs() - startMs;
    const bytesPerUpdate = (star.bytesToReplicas - before) / load.updates.length / replicas.length;
    const usedBefore = await usedBytes(first);
    await writeBatches(first, load.further, load.batch);
    const used = (await usedBytes(first)) - usedBefore;
    return { bytesPerUpdate, allSeeAllMs, memoryPerKeyBytes: used / load.further.length };
  } finally {
    for (const client of clients) client.close();
    await Promise.all(servers.map((server) => server.stop()));
    await star.close();
  }
}

async function writeBatches(client: RedisClient, updates: readonly Update[], batch: number): Promise<void> {
  for (let at = 0; at < updates.length; at += batch) {
    const part = updates.slice(at, at + batch);
    const answers = await client.send(part.map(({ key, value }) => ['SET', key, value]));
    if (answers.some((answer) => answer !== '+OK')) throw new Error(answers.find((answer) => answer !== '+OK'));
  }
}

/** Without what it keeps to send. */
async function usedBytes(client: RedisClient): Promise<number> {
  const [used = 0, ...buffers] = await Promise.all(
    ['used_memory', 'mem_total_replication_buffers', 'mem_clients_normal'].map((field) => client.info('memory', field)),
  );
  return buffers.reduce((rest, bytes) => rest - bytes, used);
}

function untilSame(primary: RedisClient, replicas: readonly RedisClient[]): Promise<void> {
  return until(
    async () => {
      const offset = await primary.info('replication', 'master_repl_offset');
      const isUp = (replica: RedisClient) =>
        replica.send([['INFO', 'replication']]).then(([text]) => text?.includes('master_link_status:up') === true);
      const all = await Promise.all(
        replicas.map(
          async (replica) => (await isUp(replica)) && (await replica.info('replication', 'slave_repl_offset')),
        ),
      );
      return all.every((at) => at === offset) || `the replicas are at ${all.join(', ')} of ${offset}`;
    },
    TIMEOUT_MS,
    POLL_MS,
  );
}
