import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { JobState } from '@meridian/contracts/recognition';
import type { RpcServer } from '@meridian/rpc';
import { job, result } from '../support/canned-answers.ts';
import { away, CliWorld } from '../support/cli-world.ts';

/**
 * Goal: jobs from the command line survive a door that goes away.
 * Method: the command line as a process, real sockets and certificates; a door with canned answers in the place of scheduler
 * and sync.
 */
// Every command is a process of its own, and a busy machine starts one in seconds.
jest.setTimeout(90_000);

let world: CliWorld;

beforeAll(async () => {
  world = await CliWorld.prepare();
});
afterAll(() => world.remove());
beforeEach(() => world.reset());
afterEach(() => world.close());

describe('jobs', () => {
  test('every region’s jobs are listed, and who did not answer; one job is asked for where its id says', async () => {
    await world.open({ shanghai: away });
    const listed = await world.meridian('jobs', 'list');
    expect(listed.out).toMatch(/beijing-1 +finished/);
    expect(listed.err).toMatch(/^without its jobs: region shanghai at 127\.0\.0\.1:1: .*\n$/);
    expect((await world.meridian('jobs', 'show', 'beijing-1')).code).toBe(0);
    expect((await world.meridian('jobs', 'show', 'shanghai-1')).err).toMatch(/^meridian: region shanghai at/);
  });

  test('pictures without a recognition and a cancelled job end with 1; what cannot be written is said first', async () => {
    let submitted = 0;
    let end: Partial<typeof job> = {};
    world.handlers = {
      ...world.handlers,
      submitJob: async (parts) => {
        for await (const _ of parts);
        submitted++;
        return { jobId: job.jobId, accepted: true };
      },
      watchJob: async function* () {
        yield { cursor: 1n, update: { case: 'job', value: { ...job, ...end } } };
      },
    };
    await world.open();
    const ends: [end: Partial<typeof job>, problem: string][] = [
      [{ failed: 1 }, '1 of 2 pictures have no recognition; see above'],
      [{ state: JobState.CANCELLED }, 'job beijing-1 was cancelled'],
    ];
    for (const [next, problem] of ends) {
      end = next;
      const { code, err } = await world.meridian('jobs', 'watch', 'beijing-1');
      expect([code, err]).toEqual([1, `meridian: ${problem}\n`]);
    }
    const output = join(world.state, 'no', 'results.jsonl');
    const { code, err } = await world.meridian('jobs', 'submit', world.picture, '-o', output);
    expect([code, err]).toEqual([1, `meridian: cannot write ${output}: there is no such file or folder\n`]);
    expect(submitted).toBe(0);
  });

  test('submit sends the folder, waits, writes each result once and sums up', async () => {
    await world.open();
    const output = join(world.state, 'results.jsonl');
    const { code, out, err } = await world.meridian('jobs', 'submit', join(world.state, 'pictures'), '-o', output);
    expect(err).toBe('job beijing-1: 2 pictures accepted in beijing\n');
    expect(out).toMatch(
      /^job beijing-1 finished: 2 of 2 recognised, 0 failed in 2,000 ms, 1 pictures\/s\n[\s\S]*shanghai +2 +15 ms/,
    );
    expect(code).toBe(0);
    const lines = (await readFile(output, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { cursor: '1', result: { index: 0 } },
      { cursor: '2', result: { index: 1 } },
    ]);
  });

  test('a door that goes away in the middle of upload and watch costs nothing but time', async () => {
    const seen: (string | bigint)[] = [];
    const lose = new Set(['submit', 'watch']);
    let port = 0;
    let scheduler: RpcServer | undefined;
    const restart = async () => {
      await scheduler?.close();
      await world.openDoor('scheduler', `127.0.0.1:${port}`);
      scheduler = world.doors.at(-1);
    };
    const hold = () => new Promise<never>(() => undefined);
    world.handlers = {
      ...world.handlers,
      submitJob: async (parts) => {
        let pictures = 0;
        for await (const { part } of parts) if (part.case === 'picture') pictures++;
        seen.push(`submit ${pictures}`);
        if (!lose.delete('submit')) return { jobId: job.jobId, accepted: true };
        void restart();
        return hold();
      },
      watchJob: async function* (request) {
        seen.push(request.cursor);
        yield { cursor: request.cursor + 1n, update: { case: 'result', value: result(Number(request.cursor)) } };
        if (lose.delete('watch')) {
          void restart();
          await hold();
        }
        yield { cursor: 2n, update: { case: 'job', value: job } };
      },
    };
    port = await world.open();
    scheduler = world.doors[0];
    const { code, out, err } = await world.meridian(
      'jobs',
      'submit',
      join(world.state, 'pictures'),
      '--json',
      '--region',
      'beijing',
    );
    expect(code).toBe(0);
    expect(seen).toEqual(['submit 2', 'submit 0', 0n, 1n]);
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ result: { index: 0 } }, { result: { index: 1 } }, { job: { jobId: 'beijing-1' } }]);
    expect(err).toMatch(/trying again in/);
  });

  test('list, show, cancel, watch after a cursor, and submit without waiting', async () => {
    await world.open();
    expect((await world.meridian('jobs', 'list')).out).toMatch(/beijing-1 +finished +2/);
    expect(JSON.parse((await world.meridian('jobs', 'show', 'beijing-1', '--json')).out)).toMatchObject({
      job: { tasks: 2 },
    });
    expect((await world.meridian('jobs', 'cancel', 'beijing-1')).out).toContain('cancelled');
    const watched = await world.meridian('jobs', 'watch', 'beijing-1', '--cursor', '1', '--json');
    expect(watched.out.trim().split('\n')).toHaveLength(2);
    expect((await world.meridian('jobs', 'submit', world.picture, '--detach')).out).toBe('beijing-1\n');
  });
});
