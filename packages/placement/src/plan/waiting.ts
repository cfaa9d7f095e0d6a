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
 * @param variation squared coefficient of variation of the service time: 0 all equal, 1 exponential
 */
export function meanWaiting(load: number, workers: number, variation: number): number {
  if (load <= 0) return 0;
  // Probability that all are busy without a queue, by recurrence over the workers.
  let blocked = 1;
  for (let n = 1; n <= workers; n++) blocked = (load * blocked) / (n + load * blocked);
  const use = load / workers;
  const waits = blocked / (1 - use * (1 - blocked));
  return ((waits * use) / (1 - use)) * ((1 + variation) / 2);
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
export function waitingPieces(capacity: number, workers: number, variation: number): Piece[] {
  if (capacity <= 0) return [];
  const speed = capacity / workers;
  const pieces: Piece[] = [];
  let [before, waitingBefore] = [0, 0];
  for (const end of ENDS) {
    const load = capacity * end;
    const waiting = meanWaiting(load / speed, workers, variation);
    pieces.push({ width: load - before, slope: ((waiting - waitingBefore) * 1_000) / (load - before) });
    [before, waitingBefore] = [load, waiting];
  }
  return pieces;
}
