/** What the cost of placing one task in one region depends on. */
export interface CostInput {
  readonly roundTripMs: number;
  /** Megabits per second; Infinity inside the own region. */
  readonly bandwidthMbps: number;
  readonly pictureBytes: number;
  /** Claims waiting or being worked on there, ours that it has not reported yet included. */
  readonly outstanding: number;
  /** Worker-seconds per second of the reference model. */
  readonly capacity: number;
  /** Processing time of one picture on a worker there. */
  readonly serviceMs: number;
}

/** Milliseconds until the result of a task placed now would be here; less is better. The optimizer may bring another. */
export type CostFunction = (input: CostInput) => number;

/** Round trip + transfer + expected wait behind what is outstanding + service. */
export const expectedLatencyMs: CostFunction = (input) => {
  const { roundTripMs, bandwidthMbps, pictureBytes, outstanding, capacity, serviceMs } = input;
  const transferMs = (pictureBytes * 8) / (bandwidthMbps * 1000);
  const waitMs = (outstanding / Math.max(capacity, CAPACITY_MIN)) * serviceMs;
  return roundTripMs + transferMs + waitMs + serviceMs;
};

/** Keeps the wait finite for a region that reports no capacity. */
const CAPACITY_MIN = 0.01;
