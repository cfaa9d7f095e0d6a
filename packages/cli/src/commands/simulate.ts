import { readFile, writeFile } from 'node:fs/promises';
import { Failure } from '@meridian/failure';
import {
  type Comparison,
  compare,
  HOME_MS,
  POLICIES,
  type Policy,
  parseScenario,
  SCENARIO_NAMES,
  type Scenario,
  type ScenarioName,
  type SimulatedRegion,
  scenario,
  TASK_ROUND_TRIPS,
  tripsOfTask,
} from '@meridian/placement';
import { linkOf, parseTopology } from '@meridian/topology';
import type { Command } from 'commander';
import { fileFailure } from '../file-failure.ts';
import { comparisonPlot } from '../format/comparison-plot.ts';
import { formatTable } from '../format/table.ts';
import { note, print, printJson, startProgress } from '../terminal.ts';
import { type CommandContext, optionsOf, wholeNumber } from './context.ts';

const SEED_MAX = 1_000_000;

interface SimulateOptions {
  readonly scenario: string;
  readonly policy?: string;
  readonly regions?: string;
  readonly seed: number;
  readonly svg?: string;
}

/** Needs no running system: it runs the placement of production on simulated regions. */
export function addSimulateCommand(program: Command, { terminal, clock }: CommandContext): void {
  const simulate = program
    .command('simulate')
    .description('placement policies against each other on simulated regions')
    .option('--scenario <name or file>', `${SCENARIO_NAMES.join(', ')}, or a scenario file`, 'sun')
    .option('--policy <names>', `with commas between: ${POLICIES.map(({ name }) => name).join(', ')} (default: all)`)
    .option('--regions <file>', 'regions and links of this regions.yaml instead of six around the world')
    .option('--seed <n>', 'of the arrivals and service times', wholeNumber(0, SEED_MAX), 1)
    .option('--svg <file>', 'also draw the means and p99 into this file')
    .action(async () => {
      const options = optionsOf<SimulateOptions>(simulate);
      const policies = policiesOf(options.policy);
      const chosen = await scenarioOf(options);
      const progress = startProgress(terminal, clock, chosen.name, policies.length, String);
      let begun = 0;
      let comparison: Comparison;
      try {
        comparison = compare(chosen, policies, options.seed, (policy) => progress.update(begun++, policy));
      } finally {
        progress.end();
      }
      if (options.svg !== undefined) await write(options.svg, comparisonPlot(comparison));
      if (options.json) printJson(terminal, comparison);
      else print(terminal, formatComparison(comparison));
      if (options.svg !== undefined) note(terminal, `drawn into ${options.svg}`);
    });
}

/** @throws Failure INVALID_ARGUMENT / POLICY_UNKNOWN that lists those there are. */
function policiesOf(names: string | undefined): readonly Policy[] {
  if (names === undefined) return POLICIES;
  return names.split(',').map((wanted) => {
    const policy = POLICIES.find(({ name }) => name === wanted.trim());
    if (policy !== undefined) return policy;
    const known = POLICIES.map(({ name }) => name).join(', ');
    throw new Failure('INVALID_ARGUMENT', `there is no policy ${JSON.stringify(wanted)}; there are ${known}`, {
      reason: 'POLICY_UNKNOWN',
    });
  });
}

async function scenarioOf({ scenario: wanted, regions }: SimulateOptions): Promise<Scenario> {
  if (!isName(wanted)) {
    if (regions === undefined) return parseScenario(await read(wanted));
    throw new Failure('INVALID_ARGUMENT', 'a scenario file has regions of its own: leave out --regions', {
      reason: 'SCENARIO_INVALID',
    });
  }
  return regions === undefined ? scenario(wanted) : inTopology(wanted, await read(regions));
}

/** A worker for each worker-second a second; the demand of each region is the same; round trips as Meridian's tasks take them. */
function inTopology(name: ScenarioName, text: string): Scenario {
  const topology = parseTopology(text);
  const regions = topology.regions.map(
    (region): SimulatedRegion => ({
      ...{ name: region.name, latitude: region.latitude, longitude: region.longitude },
      ...{ workers: Math.max(1, Math.round(region.capacity)), weight: 1 },
    }),
  );
  const trips = regions.map((a) =>
    regions.map((b) => (a === b ? HOME_MS : linkOf(topology, a.name, b.name).roundTripMs)),
  );
  const once = (origin: number, region: number) => trips[origin]?.[region] ?? 0;
  return { ...scenario(name, regions), roundTripMs: tripsOfTask(once, TASK_ROUND_TRIPS) };
}

function isName(text: string): text is ScenarioName {
  return SCENARIO_NAMES.some((name) => name === text);
}

export function formatComparison({ scenario: name, seed, tasks, regions, bound, results }: Comparison): string {
  const rows = results.map(({ policy, meanMs, p50Ms, p99Ms, overBound, shares }) => [
    policy,
    `${meanMs.toFixed(1)} ms`,
    `${p50Ms.toFixed(1)} ms`,
    `${p99Ms.toFixed(0)} ms`,
    overBound.toFixed(2),
    whereTheyRan(regions, shares),
  ]);
  const { meanMs, serviceMs, floorMs, pooledWaitMs } = bound;
  const parts = `service ${serviceMs.toFixed(1)} + ways ${floorMs.toFixed(1)} + pooled wait ${pooledWaitMs.toFixed(1)}`;
  return [
    `${name}, seed ${seed}: ${tasks} tasks in ${regions.length} regions; bound ${meanMs.toFixed(1)} ms = ${parts}`,
    '',
    formatTable(['policy', 'mean', 'p50', 'p99', '÷ bound', 'where tasks ran, %'], rows),
  ].join('\n');
}

const NAMED_REGIONS = 6;

/** The regions that ran most, in the order of the scenario. */
function whereTheyRan(regions: readonly string[], shares: readonly number[]): string {
  const most = shares.toSorted((a, b) => b - a)[NAMED_REGIONS - 1] ?? 0;
  return regions
    .flatMap((region, j) => ((shares[j] ?? 0) >= most ? [`${region} ${(100 * (shares[j] ?? 0)).toFixed(0)}`] : []))
    .slice(0, NAMED_REGIONS)
    .join(' · ');
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw fileFailure('read', path, cause);
  }
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (cause) {
    throw fileFailure('write', path, cause);
  }
}
