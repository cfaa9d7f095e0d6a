import { solvePlan } from '@meridian/placement';
import { leastOf } from '../../../packages/placement/src/flow/linear-program.fixture.ts';
import { programOf } from '../../../packages/placement/src/plan/plan-program.fixture.ts';
import { randomProblem } from '../../../packages/placement/src/plan/random-problem.fixture.ts';

/** A process of its own: by how many bytes it has grown when it has solved one problem. `solver-memory.ts <regions> <payloads> <by>` */
const [regions, payloads, by] = process.argv.slice(2);
const count = Number(regions);
const kind = { regionsMin: count, regionsMax: count, payloads: payloads === 'mixed' ? 'mixed' : 'equal' } as const;
const problem = randomProblem(10_001, kind);
// The peak that the kernel knows of may be that of the process that started this one.
const before = process.memoryUsage.rss();
if (by === 'HiGHS') leastOf(programOf(problem));
else solvePlan(problem);
process.stdout.write(String(process.memoryUsage.rss() - before));
