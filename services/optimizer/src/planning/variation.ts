import type { PlanSource } from '@meridian/placement';
import type { DemandFacts } from '../reports/facts.ts';

/** Where nobody has measured it: that of an exponential distribution. */
const UNKNOWN = 1;
/** What a plan accepts. */
const VARIATION_MAX = 100;

/**
 * Squared coefficient of variation of the service times of all tasks together: models differ in their means, and the times of
 * one model vary by themselves. E[S²] ÷ E[S]² − 1, over the tasks of a second; of a model the median of what schedulers
 * measured in the regions.
 */
export function variationOf(
  sources: readonly { readonly source: PlanSource }[],
  demands: readonly DemandFacts[],
): number {
  const measured = new Map<string, number[]>();
  for (const { services } of demands)
    for (const { modelDigest, variation, samples } of services)
      if (samples > 0) measured.set(modelDigest, [...(measured.get(modelDigest) ?? []), variation]);
  let [rate, first, second] = [0, 0, 0];
  for (const { source } of sources) {
    const { model, tasksPerSecond, taskCost } = source;
    const own = middle(measured.get(model) ?? []);
    rate += tasksPerSecond;
    first += tasksPerSecond * taskCost;
    second += tasksPerSecond * taskCost * taskCost * (1 + own);
  }
  if (first === 0) return UNKNOWN;
  return Math.min(Math.max((second * rate) / (first * first) - 1, 0), VARIATION_MAX);
}

/** The lower one of two in the middle. */
function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? UNKNOWN;
}
