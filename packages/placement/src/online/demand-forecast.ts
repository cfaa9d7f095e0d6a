/**
 * The demand of one source in the next interval, from what was counted in those before.
 *
 * 1. Several ways to look ahead run side by side, each a level with a damped trend; the one whose squared error was least of
 *    late gives the answer. Which is best depends on how long an interval is beside what demand does in it, and on how much
 *    of what is counted is chance: no single one was never worse than "same as now" (docs/simulation.md, "Forecasts").
 * 2. A forecast is finite and never negative, whatever was counted.
 * 3. Without anything counted it is 0, after one count that count.
 *
 * Gardner, McKenzie: "Forecasting trends in time series" (1985), for the damped trend; Cesa-Bianchi, Lugosi: "Prediction,
 * learning, and games" (2006), for following the leader of several.
 */
export class DemandForecast {
  readonly #ways: readonly Way[] = WAYS.map(() => ({ level: 0, trend: 0, error: 0 }));
  /** Of the intervals in the errors; none before the first count. */
  #weight = 0;
  #next = 0;

  /** Tasks a second. */
  get next(): number {
    return this.#next;
  }

  /** @param perSecond counted in the interval that has just ended; what is no number, or negative, changes nothing */
  observe(perSecond: number): void {
    if (!(perSecond >= 0 && perSecond <= DEMAND_MAX)) return;
    if (this.#isNews(perSecond)) for (const way of this.#ways) Object.assign(way, { level: perSecond, trend: 0 });
    else for (const [at, way] of this.#ways.entries()) advance(way, WAYS[at] as LookAhead, perSecond);
    this.#weight = ERROR_MEMORY * this.#weight + 1;
    const least = this.#leastError();
    const at = this.#ways.findIndex(({ error }) => error === least);
    const { level, trend } = this.#ways[at] as Way;
    this.#next = Math.max(0, level + (WAYS[at] as LookAhead).damping * trend);
  }

  #isNews(perSecond: number): boolean {
    if (this.#weight === 0) return true;
    const missed = Math.abs(perSecond - this.#next);
    const usual = Math.sqrt(this.#leastError() / this.#weight);
    return missed > JUMP_MIN * Math.max(perSecond, this.#next) && missed > JUMP_DEVIATIONS * usual;
  }

  #leastError(): number {
    return Math.min(...this.#ways.map(({ error }) => error));
  }
}

interface Way {
  level: number;
  trend: number;
  error: number;
}

function advance(way: Way, { level, trend, damping }: LookAhead, perSecond: number): void {
  const expected = way.level + damping * way.trend;
  const missed = perSecond - expected;
  way.error = ERROR_MEMORY * way.error + missed * missed;
  way.level = expected + level * missed;
  way.trend = damping * way.trend + trend * level * missed;
}

/** Gains of level and trend, and what is left of a trend an interval later. */
interface LookAhead {
  readonly level: number;
  readonly trend: number;
  readonly damping: number;
}

/** Same as now; an average of late; that with a trend; the next step of a steep one. The first of equals counts. */
const WAYS: readonly LookAhead[] = [
  { level: 1, trend: 0, damping: 0 },
  { level: 0.2, trend: 0, damping: 0 },
  { level: 0.3, trend: 0.3, damping: 0.9 },
  { level: 0.8, trend: 0.4, damping: 0.8 },
];

/** A miss of this part of the larger rate, and of so many usual ones, is another demand: what was before it counts no more. */
const JUMP_MIN = 0.4;
const JUMP_DEVIATIONS = 3;
/** What an error counts one interval later. */
const ERROR_MEMORY = 0.95;
/** Tasks a second that no source has. */
const DEMAND_MAX = 1e9;
