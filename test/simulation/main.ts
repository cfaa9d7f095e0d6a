/**
 * Deterministic simulation of the replication of several regions, judged by causal histories.
 *
 * SEED (1): the first · RUNS (500) · JOBS (one a core) · VERBOSE=1: all inputs and outputs of a violation, not the last 50.
 * Exit code 0: no property was violated, and with 500 runs or more every kind of fault has come. The last line has the hash of all
 * inputs and outputs of all runs.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { addCounts, neverCounted, noCounts } from './counters.ts';
import { simulate } from './run.ts';
import { combined, type StripeResult, simulateStripe } from './stripe.ts';

const environment = process.env;
const [seed, runs] = [Number(environment.SEED || 1), Number(environment.RUNS || 500)];
const jobs = Math.max(1, Math.min(runs, Number(environment.JOBS || availableParallelism())));
const COUNTED_RUNS_MIN = 500;
const LINES_MAX = environment.VERBOSE ? 1_000_000 : 50;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

function startStripe(index: number): Promise<StripeResult> {
  return new Promise((resolve, reject) => {
    const child = fork(import.meta.filename, ['stripe', String(seed), String(runs), String(jobs), String(index)]);
    child.once('message', (result) => resolve(result as StripeResult));
    child.once('exit', (code) => reject(new Error(`stripe ${index} ended with ${code}`)));
  });
}

function explain(seedOfRun: number): void {
  const { violation, options, lines } = simulate(seedOfRun, LINES_MAX);
  say(`seed ${seedOfRun}: ${violation?.property}: ${violation?.message}`);
  say(`  options ${JSON.stringify(options)}`);
  for (const line of lines.slice(-LINES_MAX)) say(`  ${line}`);
  say(`  again: make sim SEED=${seedOfRun} RUNS=1 VERBOSE=1`);
}

async function main(): Promise<number> {
  const startedAtMs = performance.now();
  const stripes =
    jobs === 1
      ? [simulateStripe({ seed, runs, jobs, index: 0 })]
      : await Promise.all(Array.from({ length: jobs }, (_, i) => startStripe(i)));
  const counts = noCounts();
  for (const stripe of stripes) addCounts(counts, stripe.counts);
  const violations = stripes.flatMap((stripe) => stripe.violations).sort((a, b) => a.seed - b.seed);
  for (const [counter, count] of Object.entries(counts)) say(`${counter.padEnd(44)} ${count}`);
  for (const { seed: other, property, message } of violations.slice(0, 20))
    say(`seed ${other}: ${property}: ${message.slice(0, 300)}`);
  if (violations[0] !== undefined) explain(violations[0].seed);
  const never = runs >= COUNTED_RUNS_MIN ? neverCounted(counts) : [];
  for (const counter of never) say(`never happened in ${runs} runs: ${counter}`);
  const unequal = stripes.flatMap((stripe) => stripe.unequal);
  for (const other of unequal) say(`seed ${other} gave another trace when it was run again`);
  say(`${((1000 * runs) / (performance.now() - startedAtMs)).toFixed(0)} runs a second in ${jobs} processes`);
  const hash = combined(stripes.map((stripe) => stripe.hash));
  say(`sim: ${runs} runs, ${violations.length} violations, hash ${hash}`);
  return violations.length + never.length + unequal.length > 0 ? 1 : 0;
}

if (process.argv[2] === 'stripe') {
  const [first = 1, count = 0, stripes = 1, index = 0] = process.argv.slice(3).map(Number);
  process.send?.(simulateStripe({ seed: first, runs: count, jobs: stripes, index }));
  process.disconnect?.();
} else process.exitCode = await main();
