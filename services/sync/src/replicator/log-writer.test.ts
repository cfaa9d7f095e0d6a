import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { createLogger, seededRandom, VirtualClock } from '@meridian/runtime';
import { createNoopMeter } from '@opentelemetry/api';
import type { Append, StoredRecord } from '../replication/protocol.ts';
import { LogWriter } from './log-writer.ts';
import { SyncMetrics } from './metrics.ts';
import type { Appended, AppendOptions, StateLog } from './ports.ts';

const dot = { actor: actorId('beijing', 1n), counter: 1 };
const version = { dot, hlc: { wallMs: 1, logical: 0 }, value: Buffer.from('v'), deleted: false };
const entry = { key: 'label/a', versions: [version], context: VersionVector.of([[dot.actor, 1]]) };
const append: Append = {
  id: 1,
  record: { key: entry.key, entry, lineage: dot, clock: VersionVector.EMPTY, last: version.hlc },
  expectedSequence: 0,
};

/** A log that answers as the script says. */
class ScriptedLog implements StateLog {
  readonly messageIds: string[] = [];
  readonly runs: string[][] = [];
  readonly #answers: (Appended | Failure)[];
  readonly #last: StoredRecord | undefined;

  constructor(answers: (Appended | Failure)[], last?: StoredRecord) {
    this.#answers = answers;
    this.#last = last;
  }

  recover(): ReturnType<StateLog['recover']> {
    return Promise.resolve({ records: [], unreadable: new Map(), isComplete: true, identity: 'first' });
  }

  verify(): Promise<void> {
    return Promise.resolve();
  }

  async append(_: unknown, options: AppendOptions): Promise<Appended> {
    this.messageIds.push(options.messageId);
    const answer = this.#answers.shift();
    if (answer === undefined || answer instanceof Failure) throw answer ?? new Failure('INTERNAL', 'no answer left');
    return answer;
  }

  /** One answer for the whole run. */
  async appendRun(appends: readonly { readonly options: AppendOptions }[]): Promise<readonly Appended[]> {
    const answer = this.#answers.shift();
    this.runs.push(appends.map(({ options }) => options.messageId));
    if (answer === undefined || answer instanceof Failure) throw answer ?? new Failure('INTERNAL', 'no answer left');
    return appends.map((_, i) => ({ ...answer, sequence: answer.sequence + i }));
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  clear(): Promise<void> {
    return Promise.resolve();
  }

  last(): Promise<StoredRecord | undefined> {
    return Promise.resolve(this.#last);
  }
}

async function write(log: StateLog) {
  const { result, fatal } = await writeAll(log, [append]);
  return { result: result[0], fatal };
}

async function writeAll(log: StateLog, appends: readonly Append[]) {
  const clock = new VirtualClock();
  const fatal: string[] = [];
  const writer = new LogWriter({
    ...{ log, clock, random: seededRandom(1), metrics: new SyncMetrics(createNoopMeter()) },
    logger: createLogger({ name: 'test', region: 'beijing', level: 'silent' }),
    onFatal: ({ reason }) => void fatal.push(reason),
  });
  const written = writer.allStored(appends, new AbortController().signal);
  await clock.advanceAsync(60_000);
  return { result: await written, fatal };
}

const stored: Appended = { sequence: 7, event: { id: 'e', vector: VersionVector.EMPTY } };
const noAnswer = () => new Failure('UNAVAILABLE', 'no receipt', { reason: 'NO_PUBACK' });
const wrong = () => new Failure('ABORTED', 'not the expected one', { reason: 'WRONG_SEQUENCE' });

describe('a record on its way into the log', () => {
  test('is sent again under the same id until it is stored', async () => {
    const log = new ScriptedLog([noAnswer(), noAnswer(), stored]);
    expect(await write(log)).toEqual({ result: stored, fatal: [] });
    expect(log.messageIds).toHaveLength(3);
    expect(new Set(log.messageIds).size).toBe(1);
  });

  test('whose receipt was lost is found to be stored', async () => {
    const log = new ScriptedLog([noAnswer(), wrong()], { record: append.record, sequence: 9 });
    const { result, fatal } = await write(log);
    expect(result?.sequence).toBe(9);
    expect(fatal).toEqual([]);
  });

  test('that meets another writer’s record is fatal', async () => {
    const other = { ...entry, versions: [{ ...version, value: Buffer.from('w') }] };
    const log = new ScriptedLog([wrong()], { record: { ...append.record, entry: other }, sequence: 9 });
    expect(await write(log)).toEqual({ result: undefined, fatal: ['ANOTHER_WRITER'] });
  });

  test('that the log can never take is fatal', async () => {
    const log = new ScriptedLog([new Failure('INVALID_ARGUMENT', 'large', { reason: 'MESSAGE_TOO_LARGE' })]);
    expect(await write(log)).toEqual({ result: undefined, fatal: ['MESSAGE_TOO_LARGE'] });
  });
});

describe('a run of records', () => {
  const appends = [append, { ...append, id: 2 }, { ...append, id: 3 }];
  const sequences = (result: readonly (Appended | undefined)[]) => result.map((one) => one?.sequence);

  test('needs one receipt', async () => {
    const log = new ScriptedLog([stored]);
    const { result, fatal } = await writeAll(log, appends);
    expect([sequences(result), fatal, log.messageIds]).toEqual([[7, 8, 9], [], []]);
  });

  test.each([
    ['whose receipt was lost', noAnswer()],
    ['of which one was refused', wrong()],
  ])('%s goes in one by one, under the same ids', async (_, failure) => {
    const at = (sequence: number) => ({ ...stored, sequence });
    const log = new ScriptedLog([failure, at(4), at(5), noAnswer(), at(6)]);
    const { result, fatal } = await writeAll(log, appends);
    expect([sequences(result), fatal]).toEqual([[4, 5, 6], []]);
    expect(log.messageIds.slice(0, 3)).toEqual(log.runs[0]);
    expect(log.messageIds[3]).toBe(log.messageIds[2]);
  });

  test('with a record of another writer is fatal', async () => {
    const other = { ...entry, versions: [{ ...version, value: Buffer.from('w') }] };
    const log = new ScriptedLog([wrong(), stored, wrong(), stored], {
      record: { ...append.record, entry: other },
      sequence: 9,
    });
    const { result, fatal } = await writeAll(log, appends);
    expect([sequences(result), fatal]).toEqual([[7, undefined, 7], ['ANOTHER_WRITER']]);
  });
});
