import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRedis } from './redis-server.ts';
import { report } from './report.ts';
import type { DocumentsFigures, DocumentsOrder } from './sync-documents.ts';
import { jetstreamMirrors } from './sync-jetstream.ts';
import { measureMeridian, type SyncLoad } from './sync-meridian.ts';
import { redisReplicas } from './sync-redis.ts';
import { rowsOf } from './sync-rows.ts';
import type { StarFigures } from './sync-star.ts';
import { keysOf, onceEach, updatesOf } from './sync-workload.ts';

const KEYS = 1_000;
const UPDATES = 10_000;
const BATCH = 100;
/** Written while a region is cut off. */
const MISSED = 5_000;
/** With the others and the system's own, below what a region holds. */
const FURTHER_KEYS = 8_500;
const PACED = 1_200;
/** What a library's messages are sent on, too. */
const SUBJECT_BYTES = 'meridian.beijing.sync.delta'.length;

/**
 * Replication of the same small writes by Meridian and by others, over the delays of the article. Meridian's writers, and
 * those of the libraries, are in all three regions; JetStream's mirrors and Redis know one writer's place only.
 */
export async function sync(): Promise<boolean> {
  const startedAt = new Date();
  const directory = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
  const load = loadOf(1);
  try {
    const meridian = await measureMeridian(directory, load);
    const { updates, further, missed, batch } = load;
    const jetstream = await jetstreamMirrors(updates, batch);
    const redis = await measureRedis(load);
    const order = { updates, batch, missed, further, subjectBytes: SUBJECT_BYTES };
    const yjs = await measureDocuments({ library: 'yjs', ...order });
    const automerge = await measureDocuments({ library: 'automerge', ...order });
    return await report('sync', startedAt, rowsOf({ meridian, jetstream, redis, yjs, automerge }));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function loadOf(seed: number): SyncLoad {
  const keys = keysOf(seed, KEYS);
  return {
    batch: BATCH,
    updates: updatesOf(seed + 1, keys, UPDATES),
    again: (round) => updatesOf(seed + 100 + 2 * round, keys, UPDATES),
    paced: updatesOf(seed + 3, keys, PACED),
    missed: updatesOf(seed + 5, keys, MISSED),
    further: onceEach(seed + 7, keysOf(seed + 9, FURTHER_KEYS)),
  };
}

async function measureRedis({ updates, further, batch }: SyncLoad): Promise<StarFigures | undefined> {
  const binary = await findRedis();
  if (typeof binary !== 'string') return redisReplicas(binary, { updates, further, batch });
  process.stdout.write(`Redis: SKIPPED, ${binary}\n`);
  return undefined;
}

async function measureDocuments(order: DocumentsOrder): Promise<DocumentsFigures> {
  const child = fork(join(import.meta.dirname, 'sync-documents.ts'), [], {
    execArgv: ['--disable-warning=ExperimentalWarning', '--expose-gc'],
  });
  try {
    await messageOf(child, order.library);
    child.send(order);
    return (await messageOf(child, order.library)) as DocumentsFigures;
  } finally {
    child.kill('SIGKILL');
  }
}

async function messageOf(child: ChildProcess, name: string): Promise<unknown> {
  const failed = new AbortController();
  child.once('exit', (code) => failed.abort(new Error(`the process of ${name} ended with code ${code}`)));
  return (await once(child, 'message', { signal: failed.signal }))[0];
}
