import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { subject } from '@meridian/contracts';
import { type Door, failureOf, numbers, picturesOf, resultsOf, submit } from '../support/scheduler-door.ts';
import { aPicture, type RunningScheduler, SchedulerWorld, sha256 } from '../support/scheduler-world.ts';

/**
 * Goal: how jobs are taken in, and what the public is told of them.
 * Method: brokers in memory, real gRPC with mutual TLS, workers that follow a script.
 */
let world: SchedulerWorld;
let beijing: RunningScheduler;
let door: Door;

beforeEach(async () => {
  world = await SchedulerWorld.open();
  beijing = await world.start('beijing');
  door = await world.recognition(beijing);
});
afterEach(() => world.close());

describe('submitting', () => {
  const header = (count: number, more = {}) => ({
    idempotencyKey: 'k',
    pictures: picturesOf(numbers(count)).map(({ name, digest, sizeBytes }) => ({ name, digest, sizeBytes })),
    ...more,
  });

  async function* parts(head: object, bodies: readonly number[]) {
    yield { part: { case: 'header' as const, value: head } };
    for (const number of bodies) {
      yield { part: { case: 'picture' as const, value: { digest: sha256(aPicture(number)) } } };
      for (let at = 0; at < 2000; at += 700)
        yield { part: { case: 'chunk' as const, value: aPicture(number).subarray(at, at + 700) } };
    }
  }

  test('tells what is held, goes on from there, and is one job for one key', async () => {
    const first = await door.submitJob(parts(header(5), [0, 1]));
    expect(first.accepted).toBe(false);
    expect(first.heldDigests.map((digest) => Buffer.from(digest).toString('hex')).sort()).toEqual(
      [0, 1].map((number) => sha256(aPicture(number)).toString('hex')).sort(),
    );
    const second = await door.submitJob(parts(header(5), [2, 3, 4]));
    expect(second).toMatchObject({ accepted: true, jobId: first.jobId });
    expect(await door.submitJob(parts(header(5), []))).toMatchObject({ accepted: true, jobId: first.jobId });
    const other = await failureOf(door.submitJob(parts(header(4), [])));
    expect([other.code, other.reason]).toEqual(['ALREADY_EXISTS', 'IDEMPOTENCY_KEY_REUSED']);
    await beijing.kill();
    beijing = await world.start('beijing');
    door = await world.recognition(beijing);
    expect(await door.submitJob(parts(header(5), []))).toMatchObject({ accepted: true, jobId: first.jobId });
  });

  test('two at once with one key is one job', async () => {
    const answers = await Promise.all([0, 1].map(() => door.submitJob(parts(header(3), [0, 1, 2]))));
    expect(new Set(answers.map(({ jobId, accepted }) => `${jobId} ${accepted}`)).size).toBe(1);
    expect((await door.listJobs({})).jobs).toHaveLength(1);
  });

  test('names every field that is wrong, and refuses other bytes than announced', async () => {
    const bad = {
      ...header(1),
      idempotencyKey: '',
      tenant: 'X Y',
      pictures: [{ digest: new Uint8Array(3), sizeBytes: 0 }],
    };
    const { message, reason } = await failureOf(door.submitJob(parts(bad, [])));
    expect(reason).toBe('HEADER_INVALID');
    for (const field of ['tenant', 'idempotency_key', 'pictures[0].digest', 'pictures[0].size_bytes'])
      expect(message).toContain(field);
    const reasonOf = async (head: object, bodies: readonly number[]) =>
      (await failureOf(door.submitJob(parts(head, bodies)))).reason;
    expect(await reasonOf(header(1), [7])).toBe('PICTURE_NOT_LISTED');
    expect(await reasonOf(header(1, { model: 'nope' }), [])).toBe('MODEL_UNKNOWN');
    expect(await reasonOf(header(1, { residency: { zones: ['moon'] } }), [])).toBe('REGION_UNKNOWN');
    expect(await reasonOf(header(1, { deadlineUnixMs: 1n }), [])).toBe('DEADLINE_EXCEEDED');
    const [picture] = header(1).pictures;
    const short = { ...header(1), pictures: [{ ...picture, sizeBytes: 1999 }] };
    expect(await reasonOf(short, [0])).toBe('PICTURE_SIZE');
  });

  test('at the disk budget is refused before the body; the accepted job finishes', async () => {
    await beijing.shutdown();
    beijing = await world.start('beijing', { MERIDIAN_SPOOL_BUDGET_BYTES: '64KiB' });
    door = await world.recognition(beijing);
    const jobId = await submit(door, 'a', 10);
    const refused = await failureOf(door.submitJob(parts({ ...header(17), idempotencyKey: 'b' }, [])));
    expect([refused.code, refused.reason]).toEqual(['RESOURCE_EXHAUSTED', 'DISK_BUDGET']);
    expect(refused.retryDelayMs).toBeGreaterThan(0);
    await world.worker('beijing', 'w1', [beijing]);
    expect(await resultsOf(door, jobId)).toHaveLength(10);
  });
});

describe('public events', () => {
  test('tell of accepted, placed and finished, in order, causally linked, with ids that stay the same', async () => {
    await world.worker('beijing', 'w1', [beijing]);
    const jobId = await submit(door, 'k', 3);
    await resultsOf(door, jobId);
    await beijing.shutdown();
    const bus = world.bus('beijing', 'consumer');
    const consumer = await bus.consumer('EVENTS', {
      name: 'test',
      filter: subject('event', { origin: 'beijing', tenant: '*', entity: '*', verb: '*' }),
      type: ['meridian.event.job-changed.v1', 'meridian.event.tasks-placed.v1'],
      ackWaitMs: 1000,
      maxDeliver: -1,
      maxAckPending: 100,
    });
    const events = [];
    for await (const delivery of consumer.fetch(100, 0)) events.push(delivery);
    const verbs = events.map((event) => event.subject.split('.').at(-1));
    expect(verbs[0]).toBe('accepted');
    expect(verbs.at(-1)).toBe('finished');
    expect(verbs.slice(1, -1).every((verb) => verb === 'placed')).toBe(true);
    expect(verbs.length).toBeGreaterThan(2);
    for (const [i, { envelope }] of events.entries()) {
      expect(envelope.causes).toHaveLength(1);
      if (verbs[i] === 'placed') expect(envelope.causes[0]).toBe(events[0]?.envelope.id);
    }
    await bus.close();
  });
});
