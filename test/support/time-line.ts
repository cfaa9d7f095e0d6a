import type { RegionService, RegionView } from '@meridian/contracts/region';
import type { RpcClient } from '@meridian/rpc';
import { systemClock, type Timer } from '@meridian/runtime';
import { type Placed, shareOf } from './open-load.ts';

const EVERY_MS = 500;

interface Sample {
  readonly atMs: number;
  readonly answered: number;
  readonly views: readonly RegionView[];
}

/** What a region sees twice a second, to be printed beside what it decided. */
export class TimeLine {
  readonly #regions: RpcClient<typeof RegionService>;
  readonly #answered: () => number;
  readonly #samples: Sample[] = [];
  readonly #marks: { readonly atMs: number; readonly what: string }[] = [];
  #timer: Timer | undefined;

  constructor(regions: RpcClient<typeof RegionService>, answered: () => number) {
    this.#regions = regions;
    this.#answered = answered;
  }

  start(): void {
    this.#timer = systemClock.setTimer(EVERY_MS, () => void this.#sample());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** @returns when it was */
  mark(what: string): number {
    const atMs = systemClock.nowMs();
    this.#marks.push({ atMs, what });
    return atMs;
  }

  /** A line for each sample: decisions since the last one by region, and what was believed of each. */
  print(placed: readonly Placed[]): string {
    const startMs = this.#samples[0]?.atMs ?? 0;
    const lines = this.#samples.map(({ atMs, views }) => {
      const of = (view: RegionView) => {
        const share = shareOf(view.name, placed, atMs - EVERY_MS, atMs);
        const percent = `${Number.isNaN(share) ? '–' : Math.round(share * 100)} %`;
        return `${view.name} ${percent.padStart(5)} rtt ${view.roundTripMs.toFixed(0).padStart(3)} out ${`${view.outstanding}`.padStart(2)} price ${view.price.toFixed(0).padStart(3)}`;
      };
      const marks = this.#marks.filter((mark) => mark.atMs > atMs - EVERY_MS && mark.atMs <= atMs);
      return `${((atMs - startMs) / 1_000).toFixed(1).padStart(5)} s  ${views.map(of).join('  │  ')}  ${marks.map(({ what }) => `◀ ${what}`).join(' ')}`;
    });
    return `${lines.join('\n')}\n`;
  }

  async #sample(): Promise<void> {
    const { regions } = await this.#regions.listRegions({}, { timeoutMs: 2_000 });
    this.#samples.push({ atMs: systemClock.nowMs(), answered: this.#answered(), views: regions });
    this.start();
  }
}
