import type { Ending, Task } from '../tasks/task.ts';
import type { RegionView } from './region-view.ts';

interface Sample {
  readonly mbps: number;
  readonly atMs: number;
}

/** Smaller pictures say more about the two ends than about the link. */
const BYTES_MIN = 32 * 1024;
/** What the two ends may take for a picture beyond the link's time. */
const OVERHEAD_MS = 5;
const SAMPLES_MAX = 32;
/** Fewer say nothing yet. */
const SAMPLES_MIN = 8;
/** Older ones are about another time. */
const AGE_MAX_MS = 60_000;
/** Others on the same link, and a busy process, make a transfer slower, and hardly anything makes it faster. */
const QUANTILE = 0.8;

export interface BandwidthEstimate {
  readonly mbps: number;
  /** Pictures that it comes from; 0: it is the configured one. */
  readonly transfers: number;
}

/**
 * What pictures get of a link, from those that were sent. Never more than is configured: a transfer that is as fast as the
 * link may be cannot tell how much faster it is. The configured one until enough were sent within AGE_MAX_MS.
 */
export class LinkBandwidth {
  readonly #configuredMbps: number;
  readonly #samples: Sample[] = [];

  constructor(configuredMbps: number) {
    this.#configuredMbps = configuredMbps;
  }

  /** @param tookMs beyond the round trip */
  add(bytes: number, tookMs: number, atMs: number): void {
    if (bytes < BYTES_MIN || !Number.isFinite(tookMs)) return;
    const ownMs = tookMs - OVERHEAD_MS;
    const mbps = ownMs > 0 ? (bytes * 8) / (ownMs * 1_000) : this.#configuredMbps;
    this.#samples.push({ mbps: Math.min(mbps, this.#configuredMbps), atMs });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  estimate(nowMs: number): BandwidthEstimate {
    while (this.#samples[0] !== undefined && nowMs - this.#samples[0].atMs > AGE_MAX_MS) this.#samples.shift();
    const { length } = this.#samples;
    if (length < SAMPLES_MIN) return { mbps: this.#configuredMbps, transfers: 0 };
    const sorted = this.#samples.map(({ mbps }) => mbps).sort((a, b) => a - b);
    return { mbps: sorted[Math.floor(QUANTILE * (length - 1))] ?? this.#configuredMbps, transfers: length };
  }
}

/** The bandwidths of all links of this region, by the pictures of its own tasks. */
export class LinkBandwidths {
  readonly #views: ReadonlyMap<string, RegionView>;
  readonly #links: ReadonlyMap<string, LinkBandwidth>;

  constructor(views: ReadonlyMap<string, RegionView>) {
    this.#views = views;
    this.#links = new Map([...views].map(([name, { facts }]) => [name, new LinkBandwidth(facts.bandwidthMbps)]));
  }

  /** A task has ended: where, and how long its picture was on the way there. @param pictureBytes that were sent */
  ended(
    { pictureBytes }: Pick<Task, 'pictureBytes'>,
    { how, region, times }: Pick<Ending, 'how' | 'region' | 'times'>,
    nowMs: number,
  ): void {
    const view = this.#views.get(region);
    if (how !== 'committed' || view === undefined || times.transferMs <= 0) return;
    // The announcement came half a round trip late, and the picture took the other half.
    this.#links.get(region)?.add(pictureBytes, times.transferMs - view.roundTripMs / 2, nowMs);
    this.estimate(region, nowMs);
  }

  /** Now; from then on the region's view has it too. */
  estimate(region: string, nowMs: number): BandwidthEstimate {
    const estimate = this.#links.get(region)?.estimate(nowMs) ?? { mbps: Number.POSITIVE_INFINITY, transfers: 0 };
    const view = this.#views.get(region);
    if (view !== undefined) view.bandwidthMbps = estimate.mbps;
    return estimate;
  }
}
