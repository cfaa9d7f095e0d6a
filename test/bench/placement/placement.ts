import { type Row, report } from '../report.ts';
import { learningRows } from './learning.ts';
import { policyRows } from './policies.ts';
import { optimalityRows } from './solver-optimality.ts';
import { speedRows } from './solver-speed.ts';

/** Each gives its rows; none needs a network. */
const PARTS: readonly (() => readonly Row[] | Promise<readonly Row[]>)[] = [
  speedRows,
  optimalityRows,
  policyRows,
  learningRows,
];

/** The placement's own code: the plan's solver against LP packages, and policies in the simulated world. */
export async function placement(): Promise<boolean> {
  const startedAt = new Date();
  const rows: Row[] = [];
  for (const part of PARTS) rows.push(...(await part()));
  return await report('placement', startedAt, rows);
}
