import { solvePlan } from '@meridian/placement';
import { leastOf } from '../../../packages/placement/src/flow/linear-program.fixture.ts';
import { programOf } from '../../../packages/placement/src/plan/plan-program.fixture.ts';
import { randomProblem } from '../../../packages/placement/src/plan/random-problem.fixture.ts';

/** A process of its own: by how many bytes its peak grows when it solves one problem. `solver-memory.ts <regions> <payloads> <by>` */
const [regions, payloads, by] = process.argv.slice(2);
const count = Number(regions);
const kind = { regionsMin: count, regionsMax: count, payloads: payloads === 'mixed' ? 'mixed' : 'equal' } as const;
const problem = randomProblem(10_001, kind);
const before = process.resourceUsage().maxRSS;
if (by === 'HiGHS') leastOf(programOf(problem));
else solvePlan(problem);
process.stdout.write(String((process.resourceUsage().maxRSS - before) * 1_024));
