import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EVENT_TYPES, type EventType, SUBJECTS, subject } from '@meridian/contracts';
import { EntrySchema } from '@meridian/contracts/state';
import { freePort } from '@meridian/local';
import { canonicalJson, parseManifest } from '@meridian/models';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { flood, Gate, garbage } from '../garbage/flood.ts';
import type { WireMessage } from '../garbage/mutation.ts';
import { goodMessages, SYNC_KINDS } from '../garbage/sync-messages.ts';
import { connectRaw } from '../support/raw-nats.ts';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';
import { createStreams, SyncProcess } from '../support/sync-process.ts';

/**
 * Goal: garbage on any subject of the sync service neither crashes it nor changes its state, and every piece is counted and
 * logged at a bounded rate. Method: good messages, mutated by seed; many in memory through the way in, some thousands
 * through a real broker to a real service. `make acceptance ONLY=garbage` sends a million in memory.
 */
const SEED = 20_261_125;
const IN_MEMORY = 100_000;
const OVER_THE_BROKER = 4_000;
const ANSWERS = 6;
const PERMITTED = [subject('delta', { origin: 'shanghai' }), subject('stateFetch', { target: 'beijing' })];

describe('in memory', () => {
  test('every type that the sync service takes has a row', () => {
    const taken: EventType[] = Object.values(SUBJECTS)
      .filter(
        (row) =>
          (row.publishers as readonly string[]).includes('sync') && 'stream' in row === (row.crossing === 'none'),
      )
      .flatMap((row) => [...row.types, ...('replyType' in row ? [row.replyType] : [])])
      .filter((type) => type.startsWith('meridian.state.'));
    expect(SYNC_KINDS.map(({ type }) => type).sort()).toEqual(taken.sort());
    expect(taken.every((type) => type in EVENT_TYPES)).toBe(true);
  });

  test('good messages pass: what is mutated is what they have', () => {
    const gate = new Gate();
    for (const kind of SYNC_KINDS)
      expect(goodMessages(kind).map((message) => gate.fateOf(kind, message))).toEqual(kind.samples.map(() => 'valid'));
  });

  test(`${IN_MEMORY} mutated messages are refused or valid, and nothing else`, () => {
    const { counts, crashes } = flood(SEED, IN_MEMORY);
    expect(crashes).toEqual([]);
    // Each kind meets both: an envelope that is refused, and data that is.
    for (const [type, { gate, codec }] of Object.entries(counts))
      expect([type, gate > IN_MEMORY / 40, codec > IN_MEMORY / 1000]).toEqual([type, true, true]);
    expect(flood(SEED, 2_000)).toEqual(flood(SEED, 2_000));
  });
});

describe('over a real broker', () => {
  let directory: string;
  let brokers: RegionBrokers;
  let sync: SyncProcess;
  /** A sync service of shanghai that has gone mad. */
  let mad: NatsConnection;
  let metricsPort = 0;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'meridian-garbage-'));
    brokers = await startRegionBrokers({ directory, regions: ['beijing', 'shanghai'], links: false });
    await createStreams(brokers, 'beijing');
    metricsPort = await freePort();
    const environment = {
      ...{ MERIDIAN_PEER_WAIT_MS: '200', MERIDIAN_FETCH_INTERVAL_MS: '200' },
      MERIDIAN_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
    };
    sync = new SyncProcess(brokers, { region: 'beijing', directory, environment });
    await sync.start();
    for (const name of ['small', 'large']) await sync.client('operator').addModel(upload(name), { timeoutMs: 10_000 });
    ({ connection: mad } = await connectRaw(brokers.of('shanghai'), 'sync'));
  }, 60_000);

  afterAll(async () => {
    await mad?.close();
    sync?.closeChannels();
    await sync?.stop();
    await brokers?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  /** Vector and entries, as a reader gets them. */
  async function state(): Promise<string> {
    for await (const { entries, versionVector, caughtUp } of sync.client('scheduler').watch({}, { timeoutMs: 5_000 })) {
      const all = entries.map((entry) => Buffer.from(toBinary(EntrySchema, entry)).toString('hex'));
      if (caughtUp && all.length >= 2) return JSON.stringify([versionVector, all.sort()]);
    }
    throw new Error('the watch ended');
  }

  /** Sum of a counter over its labels that match. */
  async function counted(name: string, label = ''): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(label));
    return lines.reduce(
      (sum, line) =>
        sum +
        Number(
          line
            .slice(line.lastIndexOf('}') + 1)
            .trim()
            .split(' ')[0],
        ),
      0,
    );
  }

  test(`${OVER_THE_BROKER} pieces on what it listens to change nothing; each is counted, few are logged`, async () => {
    const before = await state();
    const { pid } = sync;
    const gate = new Gate();
    let sent = 0;
    for (const { kind, message } of garbage(SEED)) {
      if (sent === OVER_THE_BROKER) break;
      if (kind.isAnswer || !PERMITTED.includes(message.subject) || message.subject !== kind.subject) continue;
      if (gate.fateOf(kind, message) === 'valid') continue;
      if (publish(mad, message)) sent += 1;
      if (sent % 200 === 0) await mad.flush();
    }
    const total = async () =>
      (await counted('meridian_messaging_invalid_total')) + (await counted('meridian_sync_refused_total'));
    await until(async () => (await total()) >= sent || `${await total()} of ${sent} are counted`);
    expect(await total()).toBe(sent);
    expect(await counted('meridian_sync_refused_total', 'delta')).toBeGreaterThan(100);
    expect(await counted('meridian_sync_refused_total', 'fetch')).toBeGreaterThan(100);
    expect([await state(), sync.pid]).toEqual([before, pid]);
    const lines = sync.log.split('\n').filter((line) => line.includes('refused'));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(sent / 10);
  });

  test('garbage as answers to its own questions changes nothing, and it goes on asking', async () => {
    const before = await state();
    const gate = new Gate();
    const failed = await counted('meridian_sync_events_total', 'fetch-failed');
    const pieces = garbage(SEED + 1);
    let answers = 0;
    const questions = mad.subscribe(subject('stateFetch', { target: 'shanghai' }), {
      callback: (_, question) => {
        for (let isSent = false; !isSent; ) {
          const { kind, message } = pieces.next().value;
          const isBad = kind.isAnswer === true && gate.fateOf(kind, message) !== 'valid';
          isSent = isBad && publish(mad, { ...message, subject: question.reply ?? '' });
        }
        answers += 1;
      },
    });
    const failures = async () => (await counted('meridian_sync_events_total', 'fetch-failed')) - failed;
    await until(async () => {
      const found = await failures();
      return (found >= ANSWERS && answers >= ANSWERS) || `${answers} answers, ${found} failures`;
    }, 40_000);
    questions.unsubscribe();
    expect(await state()).toBe(before);
  });
});

async function* upload(name: string) {
  const weights = Buffer.from(`weights of ${name}`);
  const digest = `sha256:${createHash('sha256').update(weights).digest('hex')}`;
  const input = { name: 'x', width: 224, height: 224, fit: 'stretch', layout: 'NCHW', type: 'float32' };
  const manifest = parseManifest({
    ...{ name, licence: 'MIT', source: 'https://example.org', task: 'classification' },
    parts: { model: { file: 'model.onnx', digest, bytes: weights.length, input } },
    decoder: { kind: 'classifier', output: 'y', activation: 'none' },
    labels: ['cat'],
  });
  yield { part: { case: 'manifest', value: canonicalJson(manifest) } } as const;
  yield { part: { case: 'start', value: { digest } } } as const;
  yield { part: { case: 'chunk', value: weights } } as const;
}

/** @returns false for what the client itself does not send, such as headers with control characters */
function publish(connection: NatsConnection, { subject: to, headers: pairs, data }: WireMessage): boolean {
  try {
    const all: MsgHdrs = headers();
    for (const [name, value] of pairs) all.set(name, value);
    connection.publish(to, data, { headers: all, ...(to === PERMITTED[1] && { reply: '_INBOX_sync.garbage' }) });
    return true;
  } catch {
    return false;
  }
}
