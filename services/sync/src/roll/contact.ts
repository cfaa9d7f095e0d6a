/**
 * Which regions this one has heard of lately, and knows all that they had said.
 *
 * 1. Time is monotonic and of this process: what others' clocks say, and jumps of the own wall clock, change nothing. A
 *    region counts as heard of at the start of the process, so a restart prolongs a lease by itself at most once.
 */
export class Contact {
  readonly #heard = new Map<string, { mark: number; monotonicMs: number }>();

  /** @param mark changes whenever everything of the region has come; 0 for nothing yet */
  note(region: string, mark: number, nowMs: number): void {
    const known = this.#heard.get(region);
    if (known?.mark !== mark) this.#heard.set(region, { mark, monotonicMs: nowMs });
  }

  knows(region: string): boolean {
    return this.#heard.has(region);
  }

  /** Fewer than a majority of the regions, the own one counted, were heard of within the lease. */
  isCutOff(own: string, regions: readonly string[], leaseMs: number, nowMs: number): boolean {
    const heard = regions.filter((region) => {
      const last = this.#heard.get(region);
      return region === own || (last !== undefined && nowMs - last.monotonicMs <= leaseMs);
    });
    return heard.length * 2 <= regions.length;
  }
}
