import {
  ALIAS_PREFIX,
  AliasIndex,
  type AliasRoll,
  encodePhase,
  isInRoll,
  MODEL_PREFIX,
  ModelIndex,
  type Phases,
  READY_PREFIX,
  ROLL_PREFIX,
  rollKey,
  rollState,
} from '@meridian/replica';
import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import type { BlobStore } from '../blobs/blob-store.ts';
import { readBlobs } from '../blobs/wanted-blobs.ts';
import type { ModelProblems } from '../readiness/model-problems.ts';
import type { Members } from '../replicator/members.ts';
import type { Replicator } from '../replicator/replicator.ts';
import { Contact } from './contact.ts';
import { decideRoll, leftOut, type NextPhase, type OwnFacts } from './decide-roll.ts';
import type { EvidenceDesk } from './evidence-desk.ts';

export interface RollDriverOptions {
  readonly region: string;
  readonly members: Omit<Members, 'others'>;
  readonly replicator: Pick<Replicator, 'entries' | 'write'>;
  readonly problems: ModelProblems;
  readonly evidence: EvidenceDesk;
  readonly blobs: Pick<BlobStore, 'bytesOf'>;
  /**
   * When everything that the region had said was here last, in any unit: only whether it changes is looked at. Its heartbeat
   * alone is too little: after a cut it comes before the news of what became of the roll.
   */
  readonly knownAt: (region: string) => number;
  /** The least that a lease means: what a region is heard of in, whatever happens to one message. */
  readonly leaseMinMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two looks: a roll has some phases for each region, and each of them is looked after within this. */
const LOOK_INTERVAL_MS = 200;
const WRITE_TIMEOUT_MS = 10_000;

/**
 * Moves this region through the rolls of the shared state: looks at records, phases and own facts, asks
 * {@link decideRoll}, and writes the region's own phase; and that of regions which were removed in the middle.
 *
 * 1. One look at a time, and nothing is decided while a phase is being written.
 * 2. What could not be written is decided again from what is there then: a phase is never taken for granted.
 */
export class RollDriver implements Component {
  readonly name = 'rolls';
  readonly #o: RollDriverOptions;
  readonly #contact = new Contact();
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: RollDriverOptions) {
    this.#o = options;
  }

  start(): Promise<void> {
    this.#later();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = this.#o.clock.setTimer(LOOK_INTERVAL_MS, () => {
      this.#looking = this.#look()
        .catch((error) => this.#o.logger.warn({ err: error }, 'the rolls could not be looked at; trying again'))
        .finally(() => this.#later());
    });
  }

  async #look(): Promise<void> {
    const { replicator, logger } = this.#o;
    const [aliases, models] = [new AliasIndex(), new ModelIndex()];
    for (const prefix of [ALIAS_PREFIX, ROLL_PREFIX])
      for (const entry of replicator.entries(prefix)) aliases.update(entry);
    // Most of the time there is nothing to do, and manifests are long.
    if (aliases.names().length === 0) return;
    for (const prefix of [MODEL_PREFIX, READY_PREFIX])
      for (const entry of replicator.entries(prefix)) models.update(entry);
    for (const name of aliases.names()) {
      const alias = aliases.get(name);
      if (alias === undefined || this.#stopped) continue;
      this.#listen(alias.roll);
      try {
        await this.#advance(alias.roll, alias.phases, models);
      } catch (error) {
        logger.warn({ err: error, alias: name }, 'the phase of a roll could not be written; trying again');
      }
    }
  }

  #listen(roll: AliasRoll): void {
    const nowMs = this.#o.clock.monotonicMs();
    for (const region of this.#regionsOf(roll))
      if (region !== this.#o.region) this.#contact.note(region, this.#o.knownAt(region), nowMs);
  }

  /** Those that are still in it. */
  #regionsOf(roll: AliasRoll): readonly string[] {
    const { members } = this.#o;
    return members.active.filter((region) => isInRoll(roll, region, members.generationOf(region)));
  }

  async #advance(roll: AliasRoll, phases: Phases, models: ModelIndex): Promise<void> {
    const { region, members, clock } = this.#o;
    if (rollState(roll, phases) === 'settled') return;
    const isInIt = isInRoll(roll, region, members.generationOf(region));
    const departed = isInIt || !members.haveAllAnswered ? members.departed : [...members.departed, region];
    // The same time whoever writes it: equal bytes are no conflict.
    for (const [gone, phase] of leftOut(roll, phases, departed)) await this.#write(roll, gone, phase, roll.startedMs);
    if (!isInIt) return;
    const next = decideRoll(roll, phases, await this.#facts(roll, models));
    if (next !== undefined) await this.#write(roll, region, next, clock.nowMs());
  }

  async #write(roll: AliasRoll, region: string, next: NextPhase, sinceMs: number): Promise<void> {
    const { replicator, logger } = this.#o;
    const { alias, rollId } = roll;
    const value = encodePhase({ ...next, rollId, sinceMs: Math.round(sinceMs) });
    await replicator.write({ key: rollKey(alias, region), value, when: 'differs' }, { timeoutMs: WRITE_TIMEOUT_MS });
    const { phase, reason } = next;
    logger.info({ alias, rollId, region, to: roll.new.model, phase, reason }, 'roll: next phase');
  }

  async #facts(roll: AliasRoll, models: ModelIndex): Promise<OwnFacts> {
    const { region, evidence, clock, leaseMinMs } = this.#o;
    const nowMs = clock.monotonicMs();
    const isLoaded = models.readyRegions(roll.new.digest).has(region);
    return {
      region,
      isLoaded,
      isCutOff: this.#contact.isCutOff(region, this.#regionsOf(roll), Math.max(roll.leaseMs, leaseMinMs), nowMs),
      problem: isLoaded ? '' : await this.#problemOf(roll.new.digest, models),
      ...evidence.of(roll.rollId, nowMs),
    };
  }

  /** What workers say before the weights are here is not the model's fault, and is forgotten. */
  async #problemOf(digest: string, models: ModelIndex): Promise<string> {
    const { problems, blobs } = this.#o;
    const model = models.modelByDigest(digest);
    if (model === undefined) return '';
    for (const blob of readBlobs(model.manifest)) {
      if ((await blobs.bytesOf(blob.digest)) !== undefined) continue;
      problems.forget(digest);
      return '';
    }
    return problems.of(digest);
  }
}
