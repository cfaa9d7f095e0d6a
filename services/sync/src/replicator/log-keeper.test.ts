import { beforeEach, expect, test } from '@jest/globals';
import { VersionVector } from '@meridian/causality';
import { createLogger, seededRandom, VirtualClock } from '@meridian/runtime';
import { type LogRecord, META_KEY } from '../replication/protocol.ts';
import { LogKeeper } from './log-keeper.ts';
import type { LogContent, LogMarker, StateLog } from './ports.ts';

/** Goal: what a log that was begun anew has is not taken for all there is. Method: a log of one meta record. */
class MetaLog implements StateLog {
  record: LogRecord | undefined;
  #sequence = 0;

  recover(): Promise<LogContent> {
    const records = this.record === undefined ? [] : [{ record: this.record, sequence: this.#sequence }];
    const identity = this.record?.meta?.identity ?? '';
    return Promise.resolve({ records, unreadable: new Map(), isComplete: true, identity });
  }

  append(record: LogRecord): ReturnType<StateLog['append']> {
    this.record = record;
    return Promise.resolve({ sequence: ++this.#sequence, event: { id: 'e', vector: VersionVector.EMPTY } });
  }

  async clear(): Promise<void> {
    this.record = undefined;
  }

  async appendRun(): Promise<never[]> {
    return [];
  }
  async forget(): Promise<void> {}
  async verify(): Promise<void> {}
  async last(): Promise<undefined> {}
}

class Marker implements LogMarker {
  noted: string | undefined = 'first';
  async get(): Promise<string | undefined> {
    return this.noted;
  }
  async set(identity: string): Promise<void> {
    this.noted = identity;
  }
}

let log: MetaLog;
let marker: Marker;
let lives = 0;
beforeEach(async () => {
  log = new MetaLog();
  marker = new Marker();
});

/** Of another life of the process. */
function keeper(): LogKeeper {
  const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
  const onFatal = () => undefined;
  const options = { log, marker, clock: new VirtualClock(), random: seededRandom(++lives), logger, onFatal };
  return new LogKeeper(options, new AbortController().signal);
}

async function noteOf(one: LogKeeper) {
  const { hadLog, isReplaced } = await one.recover();
  return { hadLog, isReplaced };
}

test('a log that was begun anew counts as replaced, over restarts, until it is noted to have all', async () => {
  const first = keeper();
  let booted = 0;
  expect(await first.beginAnew(3, async () => void booted++)).toBe(true);
  expect([booted, log.record?.key, log.record?.meta?.generation]).toEqual([1, META_KEY, 3]);
  expect(await noteOf(keeper())).toEqual({ hadLog: true, isReplaced: true });
  const last = keeper();
  expect(await noteOf(last)).toEqual({ hadLog: true, isReplaced: true });
  await last.mark();
  expect(await noteOf(keeper())).toEqual({ hadLog: false, isReplaced: false });
});

test('a log of a release before, whose identity was not noted, had records and is not replaced', async () => {
  marker.noted = '';
  await keeper().beginAnew(0, async () => undefined);
  expect(await noteOf(keeper())).toEqual({ hadLog: true, isReplaced: false });
});
