import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { JobSchema, TaskResultSchema } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { type Clock, seededRandom, VirtualClock } from '@meridian/runtime';
import fc from 'fast-check';
import { ATTEMPTS_MAX, CHUNK_BYTES_MAX, type JobDoor, type JobPicture, submitJob, watchJob } from './job-submission.ts';

/** A clock on which waiting takes no time. */
class ImpatientClock extends VirtualClock {
  waits: number[] = [];
  override sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    this.waits.push(delayMs);
    const slept = super.sleep(delayMs, signal);
    this.advance(delayMs);
    return slept;
  }
}

const lost = () => new Failure('UNAVAILABLE', 'connection lost');

function picture(id: number, sizeBytes: number): JobPicture {
  return {
    name: `p${id}`,
    digest: new Uint8Array(32).fill(id),
    sizeBytes,
    async *read() {
      yield new Uint8Array(sizeBytes).fill(id);
    },
  };
}

/** Keeps what a region would keep; each call is cut after `cuts.shift()` messages, when there is one. */
class FakeRegion implements JobDoor {
  readonly held = new Map<string, number>();
  readonly headers: number[] = [];
  readonly received: string[] = [];
  largestChunkBytes = 0;
  accepted = 0;
  cuts: (number | 'answer-lost')[] = [];

  async submit(messages: Parameters<JobDoor['submit']>[0]) {
    const cut = this.cuts.shift();
    let wanted: [string, number][] = [];
    let current = '';
    let bytes = 0;
    let count = 0;
    const finish = () => {
      const size = wanted.find(([digest]) => digest === current)?.[1];
      if (current !== '' && bytes === size) this.held.set(current, bytes);
    };
    for await (const { part } of messages) {
      if (typeof cut === 'number' && count++ >= cut) throw lost();
      if (part?.case === 'header') {
        const refs = part.value.pictures ?? [];
        wanted = refs.map((ref) => [String(ref.digest?.[0]), ref.sizeBytes ?? 0]);
        this.headers.push(refs.length);
      } else if (part?.case === 'picture') {
        finish();
        current = String(part.value.digest?.[0]);
        this.received.push(current);
        bytes = 0;
      } else if (part?.case === 'chunk') {
        bytes += part.value.length;
        this.largestChunkBytes = Math.max(this.largestChunkBytes, part.value.length);
      }
    }
    finish();
    const accepted = wanted.every(([digest]) => this.held.has(digest));
    if (accepted) this.accepted++;
    if (cut === 'answer-lost') throw lost();
    return {
      jobId: 'beijing-1',
      accepted,
      heldDigests: accepted ? [] : [...this.held.keys()].map((id) => new Uint8Array(32).fill(Number(id))),
    };
  }

  watch(): AsyncGenerator<never> {
    throw new Error('not watched');
  }
}

const run = (
  door: JobDoor,
  pictures: readonly JobPicture[],
  more: { clock?: Clock; signal?: AbortSignal; onProgress?: (sent: number, total: number) => void } = {},
) =>
  submitJob({
    door,
    pictures,
    header: { idempotencyKey: 'k' },
    clock: new ImpatientClock(),
    random: seededRandom(1),
    ...more,
  });

describe('submitJob', () => {
  test('sends the header and all pictures at once, each different picture once, in chunks of at most 1 MiB', async () => {
    const region = new FakeRegion();
    const progress: number[] = [];
    const big = picture(1, 2.5 * CHUNK_BYTES_MAX);
    await expect(
      run(region, [big, picture(2, 10), { ...big, name: 'again' }], {
        onProgress: (sent, total) => progress.push(sent / total),
      }),
    ).resolves.toBe('beijing-1');
    expect(region.headers).toEqual([3]);
    expect(region.received).toEqual(['1', '2']);
    expect(region.largestChunkBytes).toBe(CHUNK_BYTES_MAX);
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  test('after a lost connection the header goes alone, then only what is missing', async () => {
    const region = new FakeRegion();
    // The header, and picture 1 with the start of picture 2.
    region.cuts = [5];
    await run(region, [picture(1, 10), picture(2, 10), picture(3, 10)]);
    // First call: 1 and 2 arrived; the third call brings what is missing, the second only asks.
    expect(region.headers).toHaveLength(3);
    expect(region.received).toEqual(['1', '2', '2', '3']);
    expect(region.accepted).toBe(1);
  });

  test('an answer that was lost is asked for again, and nothing is sent twice', async () => {
    const region = new FakeRegion();
    region.cuts = ['answer-lost'];
    await expect(run(region, [picture(1, 10)])).resolves.toBe('beijing-1');
    expect(region.received).toEqual(['1']);
  });

  test('whatever is lost, the job is accepted and a picture that is held is never sent again', async () => {
    const cuts = fc.array(fc.oneof(fc.nat(12), fc.constant('answer-lost' as const)), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        cuts,
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }),
        async (lose, ids) => {
          const region = new FakeRegion();
          region.cuts = [...lose];
          await run(
            region,
            ids.map((id) => picture(id, id)),
          );
          expect(region.accepted).toBeGreaterThan(0);
          expect([...region.held.keys()].sort()).toEqual([...new Set(ids.map(String))].sort());
        },
      ),
    );
  });

  test('gives up after a bounded number of attempts without progress, honouring the region’s delay', async () => {
    const clock = new ImpatientClock();
    const door = {
      submit: () => Promise.reject(new Failure('RESOURCE_EXHAUSTED', 'full', { retryDelayMs: 7_000 })),
      watch: new FakeRegion().watch,
    };
    await expect(run(door, [picture(1, 1)], { clock })).rejects.toThrow('full');
    expect(clock.waits).toEqual(Array.from({ length: ATTEMPTS_MAX - 1 }, () => 7_000));
  });

  test('a region that never keeps a picture is not asked forever', async () => {
    const door = {
      submit: async () => ({ jobId: 'j', accepted: false, heldDigests: [] }),
      watch: new FakeRegion().watch,
    };
    await expect(run(door, [picture(1, 1)])).rejects.toThrow('does not keep');
  });

  test('a connection that is lost at the same picture each time is given up, too', async () => {
    const region = new FakeRegion();
    // Header and picture 1 arrive, then every second call is cut within picture 2.
    region.cuts = Array.from({ length: 3 * ATTEMPTS_MAX }, (_, i) => (i % 2 === 0 ? 5 : 1_000));
    let asked = 0;
    const door: JobDoor = {
      watch: region.watch,
      submit: (messages) => {
        asked++;
        return asked % 2 === 1 ? region.submit(messages) : Promise.reject(lost());
      },
    };
    await expect(run(door, [picture(1, 1), picture(2, 1), picture(3, 1)])).rejects.toThrow('connection lost');
    expect(asked).toBeLessThan(3 * ATTEMPTS_MAX);
  });

  test.each([
    ['a failure that will not pass', new Failure('INVALID_ARGUMENT', 'no such model'), undefined],
    ['an aborted signal', lost(), AbortSignal.abort()],
  ])('%s ends it at once', async (_, failure, signal) => {
    let calls = 0;
    const submit = () => {
      calls++;
      return Promise.reject(failure);
    };
    await expect(
      run({ submit, watch: new FakeRegion().watch }, [picture(1, 1)], signal === undefined ? {} : { signal }),
    ).rejects.toBe(failure);
    expect(calls).toBe(1);
  });
});

describe('watchJob', () => {
  const result = (cursor: number) => ({
    cursor: BigInt(cursor),
    update: { case: 'result' as const, value: create(TaskResultSchema, { taskId: `t${cursor}` }) },
  });
  const job = { cursor: 0n, update: { case: 'job' as const, value: create(JobSchema, { jobId: 'j' }) } };

  async function watch(scripts: (ReturnType<typeof result> | typeof job | Failure)[][], cursor?: bigint) {
    const asked: bigint[] = [];
    const door: JobDoor = {
      submit: () => Promise.reject(new Error('not submitted')),
      async *watch(_, from) {
        asked.push(from);
        for (const step of scripts.shift() ?? []) {
          if (step instanceof Failure) throw step;
          yield step;
        }
      },
    };
    const seen: string[] = [];
    const ports = { door, clock: new ImpatientClock(), random: seededRandom(1) };
    for await (const update of watchJob({ ...ports, jobId: 'j', ...(cursor !== undefined && { cursor }) }))
      seen.push(update.kind === 'job' ? 'job' : update.result.taskId);
    return { asked, seen };
  }

  test('resumes after the last cursor, whether the stream fails or just ends, and yields each result once', async () => {
    const { asked, seen } = await watch([
      [result(1), result(2), lost()],
      [result(2), result(3)],
      [new Failure('CANCELLED', 'server goes down')],
      [job],
    ]);
    expect(seen).toEqual(['t1', 't2', 't3', 'job']);
    expect(asked).toEqual([0n, 2n, 3n, 3n]);
  });

  test('starts after a given cursor', async () => {
    expect(await watch([[result(6), job]], 5n)).toEqual({ asked: [5n], seen: ['t6', 'job'] });
  });

  test('an unknown job ends it; a region that stays away ends it after a bounded number of attempts', async () => {
    await expect(watch([[new Failure('NOT_FOUND', 'no job j')]])).rejects.toThrow('no job j');
    const scripts = Array.from({ length: ATTEMPTS_MAX + 1 }, () => [lost()]);
    await expect(watch(scripts)).rejects.toThrow('connection lost');
    expect(scripts).toHaveLength(1);
  });
});
