/** What waiting depends on beside load and workers. */
export interface Waiting {
  /** Squared coefficient of variation of service times, 0 … 100: 0 all equal, 1 exponential. */
  readonly variation: number;
  /**
   * What is left of the waiting of tasks that come whether or not a worker is free, 0 < part ≤ 1: 1 where tasks are drawn by
   * their shares, {@link STEERED_PART} where each goes where it is answered soonest.
   */
  readonly waitPart: number;
}

/**
 * Tasks that are placed by what is known of queues come when a worker is free, mostly. In simulation (3 regions, 60–80 % of
 * what they can do, services of 30–250 ms) a plan with this part promises 2–17 % less than the measured mean, and is 0.06
 * from the shares at most (docs/placement.md).
 */
export const STEERED_PART = 0.1;

/**
 * How many tasks wait on average in a region that works at `load`: Erlang's formula for `workers` equal workers, with the
 * Allen–Cunneen correction for service times that vary otherwise than an exponential does.
 *
 * By Little's law this is also the waiting time that all tasks of one second spend together, in seconds, whatever their
 * sizes are; convex in the load, 0 without any, without bound towards `workers`.
 *
 * Erlang 1917; Allen, "Probability, Statistics, and Queueing Theory" (1990), section 5.6. Additions, multiplications and
 * divisions only: the same on every machine.
 *
 * @param load worker-seconds a second, 0 ≤ load < workers
 * @param workers ≥ 1, whole
 */
export function meanWaiting(load: number, workers: number, { variation, waitPart }: Waiting): number {
  if (load <= 0) return 0;
  // Probability that all are busy without a queue, by recurrence over the workers.
  let blocked = 1;
  for (let n = 1; n <= workers; n++) blocked = (load * blocked) / (n + load * blocked);
  const use = load / workers;
  const waits = blocked / (1 - use * (1 - blocked));
  return ((waits * use) / (1 - use)) * ((1 + variation) / 2) * waitPart;
}

/** One piece of the waiting cost of a region: up to `width` more load costs `slope` for each unit. */
export interface Piece {
  /** Worker-seconds a second. */
  readonly width: number;
  /** Milliseconds of waiting, of all tasks together, for each worker-second. */
  readonly slope: number;
}

/**
 * Where pieces end, as parts of the capacity: closer where the curve bends. Beyond the last a plan puts nothing: waiting
 * would be most of the answer time there.
 */
const ENDS = [0.3, 0.5, 0.6, 0.68, 0.74, 0.79, 0.83, 0.865, 0.895, 0.92, 0.94, 0.955, 0.97, 0.98];

/**
 * The waiting cost as convex pieces, by chords of {@link meanWaiting}: never below the curve, equal to it where pieces end.
 *
 * @param capacity worker-seconds a second of the reference model, ≥ 0; the speed of a worker is `capacity / workers`
 */
export function waitingPieces(capacity: number, workers: number, kind: Waiting): Piece[] {
  if (capacity <= 0) return [];
  const speed = capacity / workers;
  const pieces: Piece[] = [];
  let [before, waitingBefore] = [0, 0];
  for (const end of ENDS) {
    const load = capacity * end;
    const waiting = meanWaiting(load / speed, workers, kind);
    pieces.push({ width: load - before, slope: ((waiting - waitingBefore) * 1_000) / (load - before) });
    [before, waitingBefore] = [load, waiting];
  }
  return pieces;
}
