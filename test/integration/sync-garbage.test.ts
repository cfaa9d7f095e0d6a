import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { EVENT_TYPES, type EventType, SUBJECTS, subject } from '@meridian/contracts';
import { ModelRecordSchema } from '@meridian/contracts/state';
import { canonicalJson, type Manifest, modelDigest } from '@meridian/models';
import { modelKey } from '@meridian/replica';
import { systemClock } from '@meridian/runtime';
import { encodeDelta } from '@meridian/sync';
import { flood, Gate, garbage } from '../garbage/flood.ts';
import { goodMessages, SYNC_KINDS, speaker } from '../garbage/sync-messages.ts';
import { modelOf, publish, Target } from '../garbage/target.ts';
import { until } from '../support/region-brokers.ts';

/**
 * Goal: garbage on any subject of the sync service neither crashes it nor changes its state, and every piece is counted and
 * logged at a bounded rate. Method: good messages, mutated by seed; many in memory through the way in, some thousands
 * through a real broker to a real service. `make acceptance ONLY=garbage` sends a million each way.
 */
const SEED = 20_261_125;
const IN_MEMORY = 100_000;
const OVER_THE_BROKER = 4_000;
const ANSWERS = 6;
/** After each it waits for twice as long. */
const WEIGHTS = 3;
/** Has no codec of its own: any bytes may be a chunk. */
const WITHOUT_CODEC = 'meridian.blob.chunk.v1';

describe('in memory', () => {
  test('every type that the sync service takes has a row', () => {
    const taken: EventType[] = Object.values(SUBJECTS)
      .filter(
        (row) =>
          (row.publishers as readonly string[]).includes('sync') && 'stream' in row === (row.crossing === 'none'),
      )
      .flatMap((row) => [...row.types, ...('replyType' in row ? [row.replyType] : [])])
      .filter((type) => type.startsWith('meridian.state.') || type.startsWith('meridian.blob.'));
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
      expect([type, gate > IN_MEMORY / 40, codec > IN_MEMORY / 1000]).toEqual([type, true, type !== WITHOUT_CODEC]);
    expect(flood(SEED, 2_000)).toEqual(flood(SEED, 2_000));
  });
});

describe('over a real broker', () => {
  let directory: string;
  let target: Target;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'meridian-garbage-'));
    target = await Target.open(directory);
  }, 60_000);

  afterAll(async () => {
    await target?.close();
    await rm(directory, { recursive: true, force: true });
  });

  test(`${OVER_THE_BROKER} pieces on what it listens to change nothing; each is counted, few are logged`, async () => {
    const before = await target.state();
    const { pid } = target.sync;
    const sent = await target.flood(SEED, OVER_THE_BROKER);
    expect(await target.refused()).toBe(OVER_THE_BROKER);
    expect([...sent.values()].every((count) => count > OVER_THE_BROKER / 10)).toBe(true);
    expect(sent.size).toBe(4);
    for (const kind of ['delta', 'head', 'fetch', 'blob'])
      expect([kind, (await target.counted('meridian_sync_refused_total', kind)) > 50]).toEqual([kind, true]);
    expect([await target.state(), target.sync.pid]).toEqual([before, pid]);
    const lines = target.sync.log.split('\n').filter((line) => line.includes('refused'));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(OVER_THE_BROKER / 10);
  });

  test('garbage as answers to its own questions changes nothing, and it goes on asking', async () => {
    const before = await target.state();
    const gate = new Gate();
    const failed = await target.counted('meridian_sync_events_total', 'fetch-failed');
    const pieces = garbage(SEED + 1);
    let answers = 0;
    const questions = target.mad.subscribe(subject('stateFetch', { target: 'shanghai' }), {
      callback: (_, question) => {
        for (let isSent = false; !isSent; ) {
          const { kind, message } = pieces.next().value;
          const isBad = kind.isAnswer === true && gate.fateOf(kind, message) !== 'valid';
          isSent = isBad && publish(target.mad, { ...message, subject: question.reply ?? '' });
        }
        answers += 1;
      },
    });
    await until(async () => {
      const found = (await target.counted('meridian_sync_events_total', 'fetch-failed')) - failed;
      return (found >= ANSWERS && answers >= ANSWERS) || `${answers} answers, ${found} failures`;
    }, 40_000);
    questions.unsubscribe();
    expect(await target.state()).toBe(before);
  });

  test('garbage as weights, also where it is a well-formed chunk, is not taken for them, and it goes on asking', async () => {
    const weights = Buffer.alloc(300_000, 'weights');
    tellOfModel(target, modelOf('far', weights));
    const missing = async () => (await target.counted('meridian_sync_blobs_missing')) === 1;
    await until(async () => (await missing()) || 'beijing does not look for the weights');
    const before = await target.state();
    const pieces = garbage(SEED + 2);
    let answers = 0;
    const questions = target.mad.subscribe(subject('blobChunk', { target: 'shanghai' }), {
      callback: (_, question) => {
        for (let isSent = false; !isSent; ) {
          const { kind, message } = pieces.next().value;
          if (kind.isAnswer) isSent = publish(target.mad, { ...message, subject: question.reply ?? '' });
        }
        answers += 1;
      },
    });
    await until(async () => {
      const refused = await target.counted('meridian_sync_blob_fetches_total', 'refused');
      return (refused >= WEIGHTS && answers >= WEIGHTS) || `${answers} answers, ${refused} refused`;
    }, 60_000);
    questions.unsubscribe();
    expect([await target.state(), await missing()]).toEqual([before, true]);
  }, 90_000);
});

/** Shanghai has a model of which nobody has the weights. */
function tellOfModel({ mad }: Target, manifest: Manifest): void {
  const actor = actorId('shanghai', 0xfan);
  const { name } = manifest;
  const record = { name, modelDigest: modelDigest(manifest), manifest: canonicalJson(manifest) };
  const value = toBinary(ModelRecordSchema, create(ModelRecordSchema, record));
  const hlc = { wallMs: Math.round(systemClock.nowMs()), logical: 0 };
  const to = VersionVector.of([[actor, 1]]);
  const versions = [{ dot: { actor, counter: 1 }, hlc, value, deleted: false }];
  const entries = [{ key: modelKey(name), versions, context: to }];
  const delta = {
    generation: 0,
    entries,
    from: VersionVector.EMPTY,
    to,
    lists: VersionVector.EMPTY,
    forgotten: VersionVector.EMPTY,
  };
  const on = subject('delta', { origin: 'shanghai' });
  publish(mad, speaker('shanghai')(on, 'meridian.state.delta.v1', encodeDelta(delta)));
}
