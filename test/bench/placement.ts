import { solverRows } from './placement-solver.ts';
import { report } from './report.ts';

/** The placement's own code, without a network: the plan's solver, and policies in the simulated world. */
export async function placement(): Promise<boolean> {
  const startedAt = new Date();
  return await report('placement', startedAt, solverRows());
}
