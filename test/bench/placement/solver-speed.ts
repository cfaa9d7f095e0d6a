import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { solvePlan } from '@meridian/placement';
import { equalTo, lessEq, type Model, solve } from 'yalps';
import {
  type LinearProgram,
  leastOfText,
  textOf,
} from '../../../packages/placement/src/flow/linear-program.fixture.ts';
import { programOf } from '../../../packages/placement/src/plan/plan-program.fixture.ts';
import { type Kind, randomProblem } from '../../../packages/placement/src/plan/random-problem.fixture.ts';
import { median, type Row } from '../report.ts';

const ROUNDS = 5;
const SIZES = [50, 100, 200];
/** The size that goals are about. */
const LARGEST = 200;
/** A dense tableau: beyond this many regions it takes minutes and gigabytes. */
const YALPS_REGIONS_MAX = 50;

/**
 * Plans of two sources a region against LP packages that get the model as it is written, in turn: processor time, because
 * others use the machine too. HiGHS gets its text ready-made.
 */
export function speedRows(): readonly Row[] {
  return SIZES.flatMap((regions) => [...rowsOf(regions, 'equal'), ...rowsOf(regions, 'mixed')]);
}

interface Times {
  readonly ours: number[];
  readonly highs: number[];
  readonly yalps: number[];
}

function rowsOf(regions: number, payloads: Kind['payloads']): Row[] {
  const times: Times = { ours: [], highs: [], yalps: [] };
  for (let round = 1; round <= ROUNDS; round++) {
    const problem = problemOf(regions, payloads, round);
    const program = programOf(problem);
    const text = textOf(program);
    times.ours.push(cpuMs(() => solvePlan(problem)));
    times.highs.push(cpuMs(() => leastOfText(text)));
    if (regions <= YALPS_REGIONS_MAX) times.yalps.push(cpuMs(() => solve(modelOf(program))));
  }
  const ours = median(times.ours);
  const peers = { HiGHS: median(times.highs), ...(times.yalps.length > 0 && { YALPS: median(times.yalps) }) };
  const kind = payloads === 'mixed' ? '_mixed' : '';
  const size = regions === LARGEST ? '' : `_${regions}`;
  const hasGoal = payloads === 'equal' && regions === LARGEST;
  const speedRatio = Math.min(...Object.values(peers)) / ours;
  const speed = { metric: `solver${kind}_speed_over_fastest_lp${size}_ratio`, value: speedRatio, unit: 'ratio' };
  const memory = { metric: `solver${kind}_${regions}_regions_memory_mib`, unit: 'MiB', goal: '' };
  return [
    {
      ...{ metric: `solver${kind}_${regions}_regions_cpu_ms`, value: ours, unit: 'ms', goal: hasGoal ? '<= 1000' : '' },
      peers: { ...peers, 'slowest of ours': Math.max(...times.ours) },
    },
    { ...speed, goal: hasGoal ? '>= 5' : '', peers: {} },
    {
      ...{ ...memory, value: grownMib(regions, payloads, 'Meridian') },
      peers: { HiGHS: grownMib(regions, payloads, 'HiGHS') },
    },
  ];
}

function problemOf(regions: number, payloads: Kind['payloads'], round: number) {
  return randomProblem(10_000 + round, { regionsMin: regions, regionsMax: regions, payloads });
}

/** User and system, of this process. */
function cpuMs(run: () => unknown): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** Of a process that does nothing else: by how much it has grown, garbage included. */
function grownMib(regions: number, payloads: Kind['payloads'], by: 'Meridian' | 'HiGHS'): number {
  const script = join(import.meta.dirname, 'solver-memory.ts');
  const args = ['--disable-warning=ExperimentalWarning', script, String(regions), payloads, by];
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' })) / 2 ** 20;
}

function modelOf({ variables, rows }: LinearProgram): Model {
  const constraints = new Map(
    rows.map(({ kind, limit }, i) => [`r${i}`, kind === '=' ? equalTo(limit) : lessEq(limit)]),
  );
  const all = new Map<string, Map<string, number>>();
  for (const { name, cost, upper, uses } of variables) {
    const own = new Map([['cost', cost], ...uses.map(([row, amount]) => [`r${row}`, amount] as const)]);
    if (upper < Number.POSITIVE_INFINITY) {
      constraints.set(name, lessEq(upper));
      own.set(name, 1);
    }
    all.set(name, own);
  }
  return { direction: 'minimize', objective: 'cost', constraints, variables: all };
}
