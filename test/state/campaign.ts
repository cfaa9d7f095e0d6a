import { Ledger } from './ledger.ts';
import { judge } from './losses.ts';
import type { Phase } from './phases.ts';
import { canonicalDigest, pause, REGIONS, type StateRegions, shownIn } from './state-regions.ts';
import { SyncTraffic } from './sync-traffic.ts';
import { Writers } from './writers.ts';

/** All regions are written to for so long before something is done to them. */
const WARM_MS = 1_500;
/** What the last heads before they were equal have led to may still be on its way. */
const SETTLE_MS = 500;
const FAULTS_SHOWN = 5;

export interface CampaignOptions {
  readonly regions: StateRegions;
  readonly say: (text: string) => void;
  /** That the sync services were started with. */
  readonly fetchIntervalMs: number;
  /** How long nothing but heartbeats may be sent after each phase: longer than a fetch interval. */
  readonly quietMs: number;
}

export interface Conclusion {
  readonly name: string;
  /** Number of the phase's first write. */
  readonly from: number;
  readonly startedMs: number;
  readonly notes?: readonly string[];
  readonly problems?: readonly string[];
}

/**
 * Phases one after the other on the same three regions. After each: all equal within two anti-entropy rounds of the heal, no
 * write of any phase so far lost, then quiet.
 */
export class Campaign {
  readonly options: CampaignOptions;
  readonly ledger = new Ledger();
  readonly writers: Writers;
  /** Number of the first write since the last time all regions were found equal: all before it are everywhere. */
  checkpoint = 0;
  /** Acknowledged, and only in a store that was wiped. */
  readonly excused = new Set<string>();
  lost = 0;

  constructor(options: CampaignOptions) {
    this.options = options;
    this.writers = new Writers(this.ledger, options.regions.clients);
  }

  /** @returns whether all held */
  async phase({ name, strike }: Phase): Promise<boolean> {
    const begun = this.begin(name);
    this.writers.start();
    await pause(WARM_MS);
    await strike(this.options.regions);
    return this.conclude(begun);
  }

  begin(name: string): Conclusion {
    return { name, from: this.ledger.writes.length, startedMs: performance.now() };
  }

  /** Ends the writing, and judges. */
  async conclude({ name, from, startedMs, notes = [], problems = [] }: Conclusion): Promise<boolean> {
    const { ledger, options } = this;
    await this.writers.stop();
    const all = [...problems];
    const check = async (what: () => Promise<string>) => what().catch((error: unknown) => void all.push(String(error)));
    const equal = await check(() => this.#equal());
    const losses = await check(async () => this.#losses(all));
    const quiet = await check(() => this.#quiet(all));
    const counts = (['acknowledged', 'refused', 'uncertain'] as const).map(
      (outcome) => `${ledger.count(outcome, from)} ${outcome}`,
    );
    const seconds = `${((performance.now() - startedMs) / 1_000).toFixed(0)} s`;
    const parts = [counts.join(', '), ...notes, equal, losses, quiet, seconds].filter((part) => part !== undefined);
    options.say(`${name}: ${parts.join('; ')}`);
    for (const problem of all) options.say(`${name}: PROBLEM ${problem}`);
    return all.length === 0;
  }

  async #equal(): Promise<string> {
    const { regions, fetchIntervalMs } = this.options;
    await regions.brokers.connected();
    const healedMs = performance.now();
    const { digest } = await regions.equal(2 * fetchIntervalMs);
    const tookMs = performance.now() - healedMs;
    const rounds = (tookMs / fetchIntervalMs).toFixed(2);
    return `equal after ${(tookMs / 1_000).toFixed(2)} s (${rounds} rounds) with digest ${digest.slice(0, 16)}`;
  }

  async #losses(problems: string[]): Promise<string> {
    const { ledger, options, excused } = this;
    const dumps = await Promise.all(REGIONS.map((region) => options.regions.dump(region)));
    const digests = new Set(dumps.map(canonicalDigest));
    if (digests.size !== 1) problems.push(`the regions show different bytes: ${[...digests].join(' ')}`);
    const shown = new Map(REGIONS.map((region, i) => [region, shownIn(dumps[i] ?? [], ledger)]));
    const { faults, excused: gone } = judge(ledger.writes, shown, excused);
    this.checkpoint = ledger.writes.length;
    const lost = faults.filter(({ kind }) => kind === 'lost');
    this.lost = new Set(lost.map(({ id }) => id)).size;
    for (const { kind, id, key, region } of faults.slice(0, FAULTS_SHOWN))
      problems.push(`${kind}: ${key} "${id}", as ${region} shows it`);
    if (faults.length > FAULTS_SHOWN) problems.push(`${faults.length - FAULTS_SHOWN} faults more`);
    const beyond = excused.size > 0 ? ` beyond ${gone.length} of the ${excused.size} that only wiped stores had` : '';
    return `${this.lost} lost${beyond}, bytes ${[...digests].join(' ')}`;
  }

  async #quiet(problems: string[]): Promise<string> {
    const { regions, quietMs } = this.options;
    await pause(SETTLE_MS);
    const traffic = await SyncTraffic.watch(REGIONS.map((region) => regions.brokers.of(region)));
    await pause(quietMs);
    await traffic.stop();
    const { heads, deltas, answers, entries } = traffic;
    const seen = `${heads} heads, ${deltas} deltas, ${answers} fetch answers with ${entries} entries`;
    if (deltas > 0 || entries > 0) problems.push(`not quiet: ${seen}`);
    if (heads === 0 || answers === 0) problems.push(`nothing was heard, which says nothing: ${seen}`);
    return `quiet for ${quietMs / 1_000} s: ${seen}`;
  }
}
