import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { VirtualClock } from '@meridian/runtime';
import { ClaimDesk } from './claim-desk.ts';
import type { ClaimFacts, Outcome } from './held-claim.ts';
import type { ClaimMessage, OwnerLink, Reported, ServedModel } from './ports.ts';

const MODEL: ServedModel = { name: 'm', digest: 'd', timeoutMs: 1000 };
const DONE: Outcome = { kind: 'recognition', recognition: new Uint8Array(1), decodeMs: 1, inferenceMs: 1 };
const KIB = 1024;

class Message implements ClaimMessage {
  readonly deliveryCount: number;
  end = '';
  renewals = 0;
  constructor(deliveryCount = 1) {
    this.deliveryCount = deliveryCount;
  }
  acknowledge(): void {
    this.end += 'acknowledged';
  }
  terminate(reason: string): void {
    this.end += `terminated: ${reason}`;
  }
  giveBack(delayMs: number): void {
    this.end += `back in ${delayMs}`;
  }
  renew(): void {
    this.renewals += 1;
  }
}

class Link implements OwnerLink {
  ready = true;
  downSinceMs = 0;
  readonly said: string[] = [];
  downForMs = (nowMs: number) => (this.ready ? 0 : nowMs - this.downSinceMs);
  announce = (facts: ClaimFacts, waits: boolean) =>
    void this.said.push(`${waits ? 'hold' : 'announce'} ${facts.taskId}`);
  report = (facts: ClaimFacts, { outcome }: Reported) =>
    void this.said.push(`report ${facts.taskId} ${outcome.kind === 'failure' ? outcome.failure.reason : 'ok'}`);
  returned = (facts: ClaimFacts) => void this.said.push(`returned ${facts.taskId}`);
}

/** A desk whose ports are plain memory; one slot, run by hand. */
function bench(limits: Partial<{ pictureBytesMax: number; unacknowledgedMax: number }> = {}) {
  const clock = new VirtualClock(1_000_000);
  const link = new Link();
  const running: { picture: Uint8Array; finish: (outcome: Outcome) => void }[] = [];
  let credit = 0;
  const onFree: (() => void)[] = [];
  let prepared: Promise<ServedModel> | undefined;
  const desk: ClaimDesk = new ClaimDesk({
    clock,
    limits: { pictureBytesMax: 100 * KIB, ownerUnreachableMs: 5_000, unacknowledgedMax: 10, ...limits },
    owners: { linkOf: (region) => (region === 'nowhere' ? undefined : link) },
    preparation: {
      ready: ({ model }) => (prepared === undefined || model !== 'late' ? MODEL : undefined),
      wait: () => prepared ?? Promise.resolve(MODEL),
    },
    slots: {
      get free() {
        return running.length === 0 ? 1 : 0;
      },
      run: (_, picture) =>
        new Promise((finish) =>
          running.push({
            picture,
            finish: (outcome) => {
              running.shift();
              finish(outcome);
            },
          }),
        ),
      onFree: (listener) => void onFree.push(listener),
    },
    credit: {
      taken() {
        credit += 1;
      },
      released() {
        credit -= 1;
      },
      changed: () => undefined,
    },
    observer: { taken: () => undefined, ended: () => undefined },
  });
  desk.start();
  let serial = 0;
  return {
    clock,
    link,
    running,
    desk,
    credit: () => credit,
    /** The claim is pulled: its lane's credit is used. */
    take(options: Partial<ClaimFacts> = {}, message = new Message()) {
      serial += 1;
      const taskId = options.taskId ?? `t${serial}`;
      const fence = options.fence ?? 1n;
      credit += 1;
      desk.take(
        {
          ...{ key: `${taskId}#${fence}`, taskId, fence, jobId: 'j', attempt: 1, eventId: 'e', model: 'm' },
          ...{ traceparent: undefined, tracestate: undefined, priority: 'normal', modelDigest: 'd', requires: [] },
          ...{
            tenant: 'public',
            pictureBytes: 10 * KIB,
            deadlineMs: 0,
            placedAtMs: 0,
            ownerRegion: 'beijing',
            ...options,
          },
        },
        message,
        'lane',
      );
      return { taskId, message };
    },
    async finish(outcome = DONE) {
      running[0]?.finish(outcome);
      await Promise.resolve();
      await Promise.resolve();
      for (const listener of onFree) listener();
    },
    prepareWith(promise: Promise<ServedModel>) {
      prepared = promise;
    },
  };
}

const PICTURE = new Uint8Array(3);

describe('ClaimDesk', () => {
  test('runs a claim to its acknowledgement and gives its credit back when the result is known', async () => {
    const { desk, take, finish, link, credit } = bench();
    const { message } = take();
    expect(credit()).toBe(1);
    desk.picture('t1', 1n, PICTURE);
    await finish();
    expect(credit()).toBe(0);
    expect(link.said).toEqual(['announce t1', 'report t1 ok']);
    desk.acknowledged('t1', 1n);
    expect(message.end).toBe('acknowledged');
    expect(desk.size).toBe(0);
  });

  test('asks for no more bytes than it may hold, and for the others when there is room; one picture always', async () => {
    const { desk, take, finish, link } = bench();
    take({ pictureBytes: 500 * KIB });
    take({ pictureBytes: 60 * KIB });
    take({ pictureBytes: 60 * KIB, priority: 'high' });
    expect(link.said).toEqual(['announce t1']);
    expect(desk.mayPull).toBe(false);
    desk.picture('t1', 1n, PICTURE);
    await finish();
    expect(link.said).toEqual(['announce t1', 'announce t3', 'report t1 ok']);
    desk.refused('t3', 1n, 'stale-fence');
    expect(link.said).toContain('announce t2');
    expect(desk.mayPull).toBe(true);
  });

  test('a claim that comes again is the same claim; the newer delivery is the one that ends', async () => {
    const { desk, take, finish, credit } = bench();
    const { message: first } = take({ taskId: 'x' });
    const { message: second } = take({ taskId: 'x' }, new Message(2));
    expect(credit()).toBe(1);
    desk.picture('x', 1n, PICTURE);
    await finish();
    desk.acknowledged('x', 1n);
    expect([first.end, second.end]).toEqual(['', 'acknowledged']);
  });

  test('a high claim overtakes those that wait for the slot', async () => {
    const { desk, take, running, finish } = bench();
    for (const [id, priority] of [
      ['a', 'low'],
      ['b', 'low'],
      ['c', 'high'],
    ] as const) {
      take({ taskId: id, priority });
      desk.picture(id, 1n, Buffer.from(id));
    }
    const order: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      order.push(Buffer.from(running[0]?.picture ?? []).toString());
      await finish();
    }
    expect(order).toEqual(['a', 'c', 'b']);
  });

  test('renews what it holds, three times within the ack wait', () => {
    const { take, clock } = bench();
    const { message } = take();
    clock.advance(10_000);
    expect(message.renewals).toBeGreaterThanOrEqual(2);
  });

  test('without its owner: no credit used, given back after a while; new ones of that owner at once', () => {
    const { desk, take, link, clock, credit } = bench();
    const { message: before } = take();
    link.ready = false;
    link.downSinceMs = clock.nowMs();
    desk.ownerLost(link);
    expect(credit()).toBe(0);
    expect(desk.mayPull).toBe(true);
    clock.advance(4_000);
    expect(before.end).toBe('');
    clock.advance(2_000);
    expect(before.end).toBe('back in 1000');
    expect(take({}, new Message(4)).message.end).toBe('back in 8000');
    expect(credit()).toBe(0);
  });

  test('an owner that comes back in time is told again, and the credit counts again', () => {
    const { desk, take, link, clock, credit } = bench();
    take();
    link.ready = false;
    link.downSinceMs = clock.nowMs();
    desk.ownerLost(link);
    link.ready = true;
    desk.ownerBack(link);
    expect(link.said).toEqual(['announce t1', 'announce t1']);
    expect(credit()).toBe(1);
  });

  test('takes no more when too many results wait for their owner', async () => {
    const { desk, take, finish } = bench({ unacknowledgedMax: 2 });
    for (const id of ['a', 'b']) {
      take({ taskId: id });
      desk.picture(id, 1n, PICTURE);
      await finish();
    }
    expect(desk.mayPull).toBe(false);
    desk.acknowledged('a', 1n);
    expect(desk.mayPull).toBe(true);
  });

  test('never runs after the deadline', async () => {
    const { desk, take, link, clock, running, finish } = bench();
    take();
    desk.picture('t1', 1n, PICTURE);
    take({ deadlineMs: clock.nowMs() + 100 });
    desk.picture('t2', 1n, PICTURE);
    clock.advance(200);
    await finish();
    expect(running).toEqual([]);
    expect(link.said).toContain('report t2 TASK_DEADLINE_EXCEEDED');
  });

  test('what cannot be prepared is reported with its reason, bytes or not', async () => {
    const { desk, take, link, prepareWith } = bench();
    prepareWith(Promise.reject(new Failure('UNAVAILABLE', 'no dot', { reason: 'STATE_MISSING' })));
    take({ model: 'late' });
    desk.picture('t1', 1n, PICTURE);
    await new Promise((resolve) => setImmediate(resolve));
    expect(link.said).toContain('report t1 STATE_MISSING');
  });

  test('what waits for records uses neither credit nor bytes, and holds up nobody; then it goes on like the others', async () => {
    const { desk, take, link, running, credit, prepareWith } = bench({ pictureBytesMax: 20 * KIB });
    const late = Promise.withResolvers<ServedModel>();
    prepareWith(late.promise);
    for (let i = 1; i <= 100; i += 1) take({ taskId: `late${i}`, model: 'late' });
    expect(credit()).toBe(0);
    expect(desk.mayPull).toBe(true);
    expect(link.said).toEqual(Array.from({ length: 100 }, (_, i) => `hold late${i + 1}`));
    take({ taskId: 'other' });
    desk.picture('other', 1n, PICTURE);
    expect(running).toHaveLength(1);
    expect(credit()).toBe(1);
    late.resolve(MODEL);
    await late.promise;
    await Promise.resolve();
    expect(credit()).toBe(101);
    expect(link.said.filter((said) => said.startsWith('announce late'))).toHaveLength(1);
    expect(desk.mayPull).toBe(false);
  });

  test('no more than a few hundred wait; the others go back to the broker', () => {
    const { desk, take, prepareWith, credit } = bench();
    prepareWith(new Promise(() => undefined));
    for (let i = 1; i <= 256; i += 1) expect(take({ model: 'late' }).message.end).toBe('');
    expect(take({ model: 'late' }, new Message(3)).message.end).toBe('back in 4000');
    expect(take().message.end).toBe('');
    expect([desk.size, credit()]).toEqual([257, 1]);
  });

  test('ends claims of unknown owners, and those that are older than any job', () => {
    const { take, clock, credit } = bench();
    expect(take({ ownerRegion: 'nowhere' }).message.end).toBe('terminated: owner-unknown');
    expect(take({ placedAtMs: clock.nowMs() - 26 * 3_600_000 }).message.end).toBe('terminated: expired');
    expect(credit()).toBe(0);
  });

  test('drain gives back what has not begun and waits for the rest', async () => {
    const { desk, take, link, finish } = bench();
    take();
    desk.picture('t1', 1n, PICTURE);
    const { message } = take();
    let drained = false;
    const draining = desk.drain(new AbortController().signal).then(() => {
      drained = true;
    });
    expect(message.end).toBe('back in 0');
    expect(link.said).toContain('returned t2');
    expect(take().message.end).toBe('back in 0');
    await finish();
    expect(drained).toBe(false);
    desk.acknowledged('t1', 1n);
    await draining;
    expect(drained).toBe(true);
  });
});
