import { readFile } from 'node:fs/promises';

/** Linux gives CPU time in ticks of 10 ms (USER_HZ is 100 on every supported platform). */
const TICK_MS = 10;

/** User and system milliseconds that the processes and all their living descendants have used so far. */
export async function cpuMsOf(roots: readonly number[]): Promise<number> {
  let total = 0;
  const seen = new Set<number>();
  const open = [...roots];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    if (seen.has(pid)) continue;
    seen.add(pid);
    total += await ownCpuMs(pid);
    open.push(...(await childrenOf(pid)));
  }
  return total;
}

/** Includes what ended children have used (fields 16 and 17), so a restarted child is not forgotten. */
async function ownCpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]) * TICK_MS, 0);
}

export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);
}
