import type { Evidence, RollGate } from '@meridian/replica';

export type GateVerdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'fail'; readonly reason: string }
  /** There are not enough tasks yet. Time alone never passes a gate. */
  | { readonly kind: 'wait' };

/** Enough is known of the old model to compare the new one with. */
export function hasBaseline(gate: RollGate, old: Evidence): boolean {
  return gate.skipTasks || old.tasks >= gate.tasksMin;
}

/** Compares what real tasks showed of the new model with what they showed of the old one. */
export function judge(gate: RollGate, old: Evidence, now: Evidence): GateVerdict {
  if (gate.skipTasks) return { kind: 'pass' };
  const allowed = Math.max(gate.errorShareFloor, shareOf(old) * gate.errorFactor);
  // Errors that the remaining tasks could not make up for end it at once: nobody gains by waiting for more of them.
  if (now.errors > allowed * Math.max(now.tasks, gate.tasksMin))
    return {
      kind: 'fail',
      reason: `${now.errors} of ${now.tasks} tasks failed; up to ${percent(allowed)} may, and ${percent(shareOf(old))} did before`,
    };
  if (now.tasks < gate.tasksMin) return { kind: 'wait' };
  const p95MaxMs = old.p95Ms * gate.p95Factor;
  if (now.p95Ms > p95MaxMs && old.p95Ms > 0)
    return {
      kind: 'fail',
      reason: `95 % of ${now.tasks} inferences took up to ${ms(now.p95Ms)}; up to ${ms(p95MaxMs)} may be, and ${ms(old.p95Ms)} was before`,
    };
  return { kind: 'pass' };
}

function shareOf({ tasks, errors }: Evidence): number {
  return tasks === 0 ? 0 : errors / tasks;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}
