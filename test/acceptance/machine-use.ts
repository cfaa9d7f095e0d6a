import { cpus } from 'node:os';

/** @returns a function that says which part of all cores was busy since, 0 … 1, by whomever */
export function machineUse(): () => number {
  const before = times();
  return () => {
    const after = times();
    return (after.busyMs - before.busyMs) / (after.allMs - before.allMs);
  };
}

function times(): { busyMs: number; allMs: number } {
  let [busyMs, allMs] = [0, 0];
  for (const { times: core } of cpus()) {
    const all = core.user + core.nice + core.sys + core.idle + core.irq;
    allMs += all;
    busyMs += all - core.idle;
  }
  return { busyMs, allMs };
}
