/**
 * Faults on real processes, each under a job of its own, and an independent comparison with an undisturbed run.
 *
 * ROUNDS (10) · PICTURES (2100) · SEED (1) · FAULT (all; part of a name) · MODEL (the default). Exit code 0: every fault of every
 * round left all answers there, once, and equal.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { awaitModels } from '@meridian/local';
import { systemClock } from '@meridian/runtime';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';
import { type Answer, compare, describe, isClean } from './checker.ts';
import { FAULTS, type Fault, ORIGIN } from './faults.ts';
import { type FinishedJob, runJob } from './job.ts';
import { openTasks } from './observe.ts';
import { type Picture, variations } from './pictures.ts';
import { reissuesOf } from './reissues.ts';

const UNDISTURBED_MS_MIN = 30_000;
/** A run in which fewer tasks were open where it hit has not tested much. */
const OPEN_MIN = 30;

const environment = process.env;
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: environment.ROUNDS ?? '10' },
    pictures: { type: 'string', default: environment.PICTURES ?? '2100' },
    seed: { type: 'string', default: environment.SEED ?? '1' },
    fault: { type: 'string', default: environment.FAULT ?? '' },
    model: { type: 'string', default: environment.MODEL ?? '' },
  },
});
const [rounds, count, seed] = [Number(values.rounds), Number(values.pictures), Number(values.seed)];
const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Outcome {
  readonly line: string;
  readonly good: boolean;
}

async function underFault(
  running: RunningSystem,
  pictures: readonly Picture[],
  expected: readonly Answer[],
  fault: Fault,
  round: number,
): Promise<Outcome> {
  const share = 0.2 + 0.3 * (((round * 7919 + fault.name.length * 104_729 + seed * 31) % 1000) / 1000);
  let injected: Promise<{ atMs: number; open: readonly number[] }> | undefined;
  const injectWhenDue = (results: number): void => {
    if (injected === undefined && results >= share * pictures.length) injected = strike(running, fault);
  };
  const channel = await running.channel(ORIGIN);
  const job = await runJob({
    channel,
    pictures,
    model: values.model,
    key: `${seed}/${round}/${fault.name}/${systemClock.nowMs()}`,
    onResult: injectWhenDue,
  });
  channel.close();
  const struck = await injected;
  if (struck === undefined) return { line: `${fault.name}: the job ended before the fault`, good: false };
  await repaired;
  await awaitModels(running.system, systemClock);
  const verdict = compare(expected, job.answers);
  const reissues = (await reissuesOf(running.system, ORIGIN)).filter((one) => one.taskId.startsWith(job.jobId));
  const delays = reissues.map((one) => one.atMs - struck.atMs).filter((delay) => delay >= 0);
  const enough = struck.open.every((open) => open >= OPEN_MIN);
  const line = [
    fault.name.padEnd(36),
    `at ${(100 * share).toFixed(0)} %`,
    `open ${fault.hits.map((region, i) => `${region} ${struck.open[i]}`).join(', ')}`,
    `re-issued ${delays.length}${delays.length === 0 ? '' : ` (first ${Math.min(...delays)} ms, last ${Math.max(...delays)} ms)`}`,
    `${(job.durationMs / 1000).toFixed(1)} s`,
    describe(verdict),
    enough ? '' : `REJECTED: fewer than ${OPEN_MIN} open`,
  ].join(' · ');
  return { line, good: isClean(verdict) && enough };
}

let repaired: Promise<void> = Promise.resolve();

/** Counts what is open where it will hit, then hits; the repair runs on its own clock. */
async function strike(running: RunningSystem, fault: Fault): Promise<{ atMs: number; open: readonly number[] }> {
  const ports = fault.hits.map((region) => running.system.region(region).settings.plan.ports.monitor);
  const open = await Promise.all(ports.map(openTasks));
  const atMs = systemClock.nowMs();
  await fault.inject(running);
  const { lastsMs, repair } = fault;
  if (lastsMs !== undefined && repair !== undefined) {
    repaired = systemClock.sleep(lastsMs).then(() => repair(running));
    repaired.catch(() => undefined); // who awaits it hears of it; until then it must not end this process
  }
  return { atMs, open };
}

function describeUndisturbed(job: FinishedJob): string {
  const regions = [...job.regions].map(([region, tasks]) => `${region} ${tasks}`).join(', ');
  return `undisturbed: ${job.answers.length} answers in ${(job.durationMs / 1000).toFixed(1)} s (${regions}), ${job.replaced} placed again`;
}

async function main(stateRoot: string): Promise<boolean> {
  const running = await startLocalSystem({ stateRoot });
  try {
    const photographs = running.provisioned.samples.map((sample) => sample.path);
    const pictures = await variations(photographs, count, seed);
    const channel = await running.channel(ORIGIN);
    const undisturbed = await runJob({
      channel,
      pictures,
      model: values.model,
      key: `undisturbed/${seed}`,
      onResult: () => undefined,
    });
    channel.close();
    say(describeUndisturbed(undisturbed));
    if (undisturbed.durationMs < UNDISTURBED_MS_MIN || undisturbed.regions.size < 3) {
      say(
        `REJECTED: an undisturbed job must last ${UNDISTURBED_MS_MIN / 1000} s and run in three regions; raise PICTURES`,
      );
      return false;
    }
    let good = true;
    for (let round = 1; round <= rounds; round++)
      for (const fault of FAULTS.filter((one) => one.name.includes(values.fault))) {
        const outcome = await underFault(running, pictures, undisturbed.answers, fault, round);
        say(`round ${round}: ${outcome.good ? 'ok  ' : 'FAIL'} ${outcome.line}`);
        good = good && outcome.good;
      }
    return good;
  } finally {
    await running.stop();
  }
}

const stateRoot = await mkdtemp(join(tmpdir(), 'meridian-faults-'));
const good = await main(stateRoot).catch((error: unknown) => {
  say(String(error));
  return false;
});
if (good) await rm(stateRoot, { recursive: true, force: true });
say(good ? 'all answers there, once, equal' : `FAILED; state and logs: ${stateRoot}`);
process.exitCode = good ? 0 : 1;
