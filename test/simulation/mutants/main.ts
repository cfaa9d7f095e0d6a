/**
 * Plants every known bug and counts the seeds until a property is violated. TRIALS (5), from different seeds · SEEDS (1000) at most
 * each · ONLY: part of a name · JOBS. Prints the table for docs/consistency.md. Exit code 1 when one was not found.
 */
import { availableParallelism } from 'node:os';
import { type Catch, hunt } from './hunt.ts';
import type { Mutant } from './mutant.ts';
import { MUTANTS } from './mutants.ts';

const environment = process.env;
const [trials, seedsMax] = [Number(environment.TRIALS || 5), Number(environment.SEEDS || 1_000)];
const jobs = Number(environment.JOBS || availableParallelism());
const only = environment.ONLY ?? '';
const TRIAL_SEEDS = 1_000_000;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const wanted = MUTANTS.filter(({ name }) => name.includes(only));
const queue = [...wanted];
let missed = 0;

async function judge(mutant: Mutant): Promise<void> {
  const catches: Catch[] = [];
  for (let trial = 0; trial < trials; trial++) catches.push(await hunt(mutant, 1 + trial * TRIAL_SEEDS, seedsMax));
  const seeds = catches.map((one) => one.seeds ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const median = seeds[Math.floor(seeds.length / 2)] ?? Number.POSITIVE_INFINITY;
  const worst = seeds.at(-1) ?? Number.POSITIVE_INFINITY;
  if (worst === Number.POSITIVE_INFINITY) missed++;
  const properties = [...new Set(catches.map(({ property }) => property))]
    .filter((property) => property !== '')
    .join(', ');
  const count = (n: number) => (n === Number.POSITIVE_INFINITY ? `not in ${seedsMax}` : String(n));
  say(`| ${mutant.name} | ${mutant.bug} | ${count(median)} / ${count(worst)} | ${properties} |`);
}

say('| Planted bug | What it does | Seeds to find: median / worst | Seen as |');
say('| --- | --- | --- | --- |');
await Promise.all(
  Array.from({ length: jobs }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await judge(next);
  }),
);
say(`sim-mutants: ${wanted.length} bugs, ${missed} missed`);
if (missed > 0) process.exitCode = 1;
