import { readFile, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';

const schema = z.array(z.strictObject({ pid: z.int().positive(), startedTicks: z.string() })).max(1000);

/** Remembers processes by pid and kernel start time, so that a pid that was given away again is never killed. */
export async function recordPids(file: string, pids: readonly number[]): Promise<void> {
  const rows: { pid: number; startedTicks: string }[] = [];
  for (const pid of pids) {
    const startedTicks = await startTicks(pid);
    if (startedTicks !== undefined) rows.push({ pid, startedTicks });
  }
  await writeFile(file, JSON.stringify(rows));
}

/**
 * Ends what a run that was itself killed left behind on this state folder. Linux only; elsewhere nothing is recorded.
 */
export async function endLeftovers(file: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return 0;
  let ended = 0;
  for (const { pid, startedTicks } of parseRows(text)) {
    if ((await startTicks(pid)) !== startedTicks) continue;
    process.kill(pid, 'SIGKILL');
    ended += 1;
  }
  await rm(file, { force: true });
  return ended;
}

function parseRows(text: string): z.output<typeof schema> {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return [];
  }
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold spaces and parentheses. */
async function startTicks(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
