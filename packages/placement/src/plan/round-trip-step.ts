/** A round trip that differs by more than both of these is another one, and no noise. */
const STEP_SHARE = 0.3;
const STEP_MS = 20;

/** Whether plans should not wait for their interval: schedulers tell of it at once, and optimizers plan at once. */
export function isRoundTripStep(beforeMs: number, nowMs: number): boolean {
  const differenceMs = Math.abs(nowMs - beforeMs);
  return differenceMs > STEP_MS && differenceMs > STEP_SHARE * beforeMs;
}
