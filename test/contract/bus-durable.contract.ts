import { expect, test } from '@jest/globals';
import { subject } from '@meridian/contracts';
import type { MessageBus, Outgoing } from '@meridian/messaging';
import { ACTOR, type BusHarness, collect, failed, REGION, SMALL_STREAM_BYTES } from './bus-harness.ts';

type Record = Outgoing<'meridian.job.record.v1'>;

function jobSubject(job: string): string {
  return subject('job', { origin: REGION, job, task: 'job' });
}

function job(digest: string): Record {
  return { type: 'meridian.job.record.v1', data: { headerDigest: Buffer.from(digest) } };
}

/** Durable publish, compare-and-set, reading back. */
export function durableContract(harness: () => BusHarness): void {
  test('a durable publish returns rising sequences; the same message id is stored once', async () => {
    const { bus } = await harness().open('scheduler');
    const first = await bus.publishDurable(jobSubject('a'), job('1'), { messageId: 'm1' });
    const again = await bus.publishDurable(jobSubject('a'), job('2'), { messageId: 'm1' });
    const second = await bus.publishDurable(jobSubject('b'), job('3'));
    expect(first).toMatchObject({ stream: 'JOBS', domain: REGION, duplicate: false });
    expect(again).toMatchObject({ sequence: first.sequence, duplicate: true });
    expect(second.sequence).toBe(first.sequence + 1);
    expect(await bus.streamState('JOBS')).toMatchObject({ messages: 2, lastSequence: second.sequence });
    const stored = await bus.getLast('JOBS', jobSubject('a'), 'meridian.job.record.v1');
    expect(stored?.envelope.id).toBe(first.envelope.id);
    expect(stored?.envelope.vector.toString()).toBe(first.envelope.vector.toString());
    expect(Buffer.from(stored?.data.headerDigest ?? []).toString()).toBe('1');
  });

  test('compare-and-set: of many writers from one state exactly one wins, the others see WRONG_SEQUENCE', async () => {
    const { bus } = await harness().open('scheduler');
    const created = await bus.publishDurable(jobSubject('a'), job('0'), { expectedLastSubjectSequence: 0 });
    const writers = Array.from({ length: 20 }, (_, n) =>
      bus.publishDurable(jobSubject('a'), job(String(n)), { expectedLastSubjectSequence: created.sequence }),
    );
    const results = await Promise.allSettled(writers);
    const won = results.filter((result) => result.status === 'fulfilled');
    const lost = results.filter((result) => result.status === 'rejected');
    expect(won).toHaveLength(1);
    for (const { reason } of lost) expect(reason).toMatchObject({ code: 'ABORTED', reason: 'WRONG_SEQUENCE' });
    const stale = await failed(bus.publishDurable(jobSubject('a'), job('x'), { expectedLastSubjectSequence: 0 }));
    expect(stale.details.lastSequence).toBe(String(won[0]?.value.sequence));
    // Another subject is not concerned.
    await bus.publishDurable(jobSubject('b'), job('y'), { expectedLastSubjectSequence: 0 });
  });

  test('a run is stored whole and in order directly behind the last message, with one receipt for all', async () => {
    const { bus } = await harness().open('scheduler');
    const before = await bus.publishDurable(jobSubject('a'), job('0'));
    const events = Array.from({ length: 130 }, (_, n) => ({
      subject: jobSubject(`r${n % 100}`),
      event: job(`run ${n}`),
      messageId: `run ${n}`,
      ...(n < 100 && { expectedLastSubjectSequence: 0 }),
    }));
    const published = await bus.publishRun(events);
    expect(published.map(({ sequence }) => sequence)).toEqual(events.map((_, n) => before.sequence + 1 + n));
    expect(published[0]).toMatchObject({ stream: 'JOBS', domain: REGION, duplicate: false });
    for (const n of [0, 29, 99]) {
      const stored = await bus.getLast('JOBS', jobSubject(`r${n}`), 'meridian.job.record.v1');
      const last = n < 30 ? n + 100 : n;
      expect(stored?.sequence).toBe(published[last]?.sequence);
      expect(stored?.envelope.id).toBe(published[last]?.envelope.id);
    }
    const again = await bus.publishDurable(jobSubject('r7'), job('again'), { messageId: 'run 7' });
    expect(again).toMatchObject({ duplicate: true, sequence: published[7]?.sequence });
    expect(await bus.publishRun([])).toEqual([]);
  });

  test('of a run nothing is stored behind an event that the stream refuses, or after another writer', async () => {
    const { bus } = await harness().open('scheduler');
    const { sequence } = await bus.publishDurable(jobSubject('a'), job('0'));
    const one = (name: string, n: number, expected?: number) => ({
      ...{ subject: jobSubject(name), event: job(name), messageId: `${name}${n}` },
      ...(expected !== undefined && { expectedLastSubjectSequence: expected }),
    });
    const wrong = { code: 'ABORTED', reason: 'WRONG_SEQUENCE' };
    const refused = (...events: ReturnType<typeof one>[]) =>
      failed(bus.publishRun(events)).then((failure) => expect(failure).toMatchObject(wrong));
    const last = async () => (await bus.streamState('JOBS')).lastSequence;
    await refused(one('a', 1, 7_000), one('b', 1), one('c', 1));
    expect(await last()).toBe(sequence);
    await refused(one('b', 2), one('a', 2, 7_000), one('c', 2));
    expect(await last()).toBe(sequence + 1);
    await refused(one('b', 3), one('b', 2), one('c', 3)); // the second is there already
    expect(await last()).toBe(sequence + 2);
    await refused(one('b', 4), one('c', 4), one('b', 3));
    expect(await last()).toBe(sequence + 4);
    await refused(one('b', 3));
    expect(await bus.getLast('JOBS', jobSubject('c'), 'meridian.job.record.v1')).toMatchObject({
      sequence: sequence + 4,
    });
  });

  test('no stream for the subject: NO_PUBACK within the time-out', async () => {
    const { bus } = await harness().open('scheduler');
    const nowhere = subject('task', { target: 'nowhere', class: 'normal', model: 'm' });
    const claim: Outgoing<'meridian.task.claim.v1'> = { type: 'meridian.task.claim.v1', data: {} };
    expect(await failed(bus.publishDurable(nowhere, claim, { timeoutMs: 300 }))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'NO_PUBACK',
      retryable: true,
    });
  });

  test('too large a message is refused before or by the stream', async () => {
    const { bus } = await harness().open('scheduler');
    const target = subject('task', { target: REGION, class: 'normal', model: 'm' });
    for (const bytes of [16 * 1024 + 1, 16 * 1024 - 60]) {
      const claim: Outgoing<'meridian.task.claim.v1'> = {
        type: 'meridian.task.claim.v1',
        data: { pictureDigest: new Uint8Array(bytes) },
      };
      expect(await failed(bus.publishDurable(target, claim))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'MESSAGE_TOO_LARGE',
      });
    }
  });

  test('a full stream refuses with STREAM_FULL, keeps what it has, and takes replacements', async () => {
    const { bus } = await harness().open('sync');
    const write = (key: string) =>
      bus.publishDurable(subject('state', { origin: REGION, key }), {
        type: 'meridian.state.record.v1',
        data: {
          actor: ACTOR,
          counter: 1n,
          entry: { key, versions: [{ value: new Uint8Array(SMALL_STREAM_BYTES / 8) }] },
        },
      });
    let written = 0;
    let refusal: unknown;
    while (refusal === undefined && written < 10)
      try {
        await write(`k${written}`);
        written++;
      } catch (thrown) {
        refusal = thrown;
      }
    expect(written).toBe(7);
    expect(refusal).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'STREAM_FULL' });
    expect((await bus.streamState('STATE')).messages).toBe(7);
    await write('k3');
    expect(await bus.streamState('STATE')).toMatchObject({ messages: 7, lastSequence: 8 });
  });

  test('lastBySubject gives the last event of every subject in order, of several types', async () => {
    const { bus } = await harness().open('scheduler');
    const all = subject('job', { origin: REGION, job: '*', task: '*' });
    expect(await collect(bus.lastBySubject('JOBS', all, 'meridian.job.record.v1'))).toEqual([]);
    for (const round of [1, 2]) for (let n = 0; n < 300; n++) if (round === 1 || n % 3 === 0) await put(bus, n, round);
    const task = subject('job', { origin: REGION, job: 'j7', task: '0' });
    await bus.publishDurable(task, { type: 'meridian.job.task.v1', data: { fence: 5n } });
    const read = await collect(bus.lastBySubject('JOBS', all, ['meridian.job.record.v1', 'meridian.job.task.v1']));
    expect(new Set(read.map((m) => m.subject)).size).toBe(301);
    expect(read).toHaveLength(301);
    const sequences = read.map((m) => m.sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    const rewritten = read.filter(
      (m) =>
        m.type === 'meridian.job.record.v1' &&
        'headerDigest' in m.data &&
        Buffer.from(m.data.headerDigest).toString() === 'round 2',
    );
    expect(rewritten).toHaveLength(100);
    const oneJob = subject('job', { origin: REGION, job: 'j7', task: '*' });
    const ofJob = await collect(bus.lastBySubject('JOBS', oneJob, 'meridian.job.task.v1'));
    expect(ofJob.map((m) => m.data.fence)).toEqual([5n]);
  });

  test('lastBySubject misses no subject while all are being rewritten', async () => {
    const { bus } = await harness().open('scheduler');
    for (let n = 0; n < 600; n++) await put(bus, n, 0);
    let writing = true;
    const writer = (async () => {
      for (let n = 0; writing; n++) await put(bus, n % 600, n);
    })();
    const all = subject('job', { origin: REGION, job: '*', task: '*' });
    const seen = new Set<string>();
    for await (const stored of bus.lastBySubject('JOBS', all, 'meridian.job.record.v1')) seen.add(stored.subject);
    writing = false;
    await writer;
    expect(seen.size).toBe(600);
  });

  test('allBySubject gives every event that a subject keeps, in order; the oldest beyond its number are gone', async () => {
    const { bus } = await harness().open('sync');
    const history = (key: string) => subject('history', { origin: REGION, key });
    const see = (key: string, counter: number) =>
      bus.publishDurable(history(key), {
        type: 'meridian.state.version.v1',
        data: { key, version: { dot: `${ACTOR}=${counter}` } },
      });
    const read = async (filter: string) =>
      (await collect(bus.allBySubject('HISTORY', filter, 'meridian.state.version.v1'))).map(
        ({ data }) => `${data.key} ${data.version?.dot.split('=')[1]}`,
      );
    expect(await read(history('a'))).toEqual([]);
    for (let counter = 1; counter <= 33; counter++) await see('config/a.b', counter);
    await see('config/c', 34);
    expect(await read(history('config/a.b'))).toEqual(Array.from({ length: 32 }, (_, i) => `config/a.b ${i + 2}`));
    const all = await read(history('*'));
    expect([all.length, all.at(-1)]).toEqual([33, 'config/c 34']);
  });

  test('getLast and purge', async () => {
    const { bus } = await harness().open('scheduler');
    expect(await bus.getLast('JOBS', jobSubject('a'), 'meridian.job.record.v1')).toBeUndefined();
    await bus.publishDurable(jobSubject('a'), job('1'));
    const last = await bus.publishDurable(jobSubject('a'), job('2'));
    expect((await bus.getLast('JOBS', jobSubject('a'), 'meridian.job.record.v1'))?.sequence).toBe(last.sequence);
    const other = await failed(bus.getLast('JOBS', jobSubject('a'), 'meridian.job.task.v1'));
    expect(other).toMatchObject({ code: 'DATA_LOSS', reason: 'STORED_INVALID' });
    await bus.publishDurable(jobSubject('b'), job('3'));
    // What was written since stays: a purge that was asked for twice may come late.
    expect(await bus.purge('JOBS', jobSubject('a'), { untilSequence: last.sequence - 1 })).toBe(0);
    expect(await bus.purge('JOBS', jobSubject('a'), { untilSequence: last.sequence })).toBe(1);
    expect(await bus.purge('JOBS', jobSubject('a'))).toBe(0);
    expect((await bus.streamState('JOBS')).messages).toBe(1);
    // An absent subject counts from 0 again for compare-and-set.
    await bus.publishDurable(jobSubject('a'), job('4'), { expectedLastSubjectSequence: 0 });
  });
}

async function put(bus: MessageBus, n: number, round: number): Promise<void> {
  await bus.publishDurable(jobSubject(`j${n}`), job(`round ${round}`));
}
