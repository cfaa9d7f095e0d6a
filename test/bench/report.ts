import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

/** One figure. `metric` is snake_case and contains its unit or `_ratio`; `goal` is text such as `>= 0.8`. */
export interface Row {
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: string;
  readonly peers: Readonly<Record<string, number>>;
}

/** Prints the rows and writes them to `test/bench/results/<name>.json`. @returns whether every goal was met. */
export async function report(name: string, startedAt: Date, rows: readonly Row[]): Promise<boolean> {
  const judged = rows.map((row) => ({ ...row, met: meets(row.value, row.goal) }));
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model ?? '',
    memoryBytes: totalmem(),
    node: process.version,
  };
  const folder = join(import.meta.dirname, 'results');
  await mkdir(folder, { recursive: true });
  const text = JSON.stringify({ name, startedAt: startedAt.toISOString(), machine, rows: judged }, null, 2);
  await writeFile(join(folder, `${name}.json`), `${text}\n`);
  for (const row of judged) {
    const peers = Object.entries(row.peers).map(([peer, value]) => `${peer} ${format(value)}`);
    const goal = row.goal === '' ? '' : `goal ${row.goal}: ${row.met ? 'met' : 'NOT met'}`;
    process.stdout.write(
      `${row.metric.padEnd(44)} ${format(row.value).padStart(10)} ${row.unit.padEnd(8)} ${goal}  ${peers.join(' · ')}\n`,
    );
  }
  return judged.every((row) => row.met);
}

/** No goal is always met. */
export function meets(value: number, goal: string): boolean {
  if (goal === '') return true;
  const match = /^(<=|>=) (-?[\d.]+)$/.exec(goal);
  if (match === null) throw new RangeError(`not a goal: ${goal}`);
  const bound = Number(match[2]);
  return match[1] === '<=' ? value <= bound : value >= bound;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) throw new RangeError('no values');
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** The smallest value that is not exceeded by this share of them: nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new RangeError('no values');
  return value;
}

function format(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(3);
}
