import type { RollService } from '@meridian/contracts/roll';
import type { Code } from '@meridian/failure';
import { type AliasRoll, type Phases, phaseOf, type Replica, rollState } from '@meridian/replica';
import type { RpcClient } from '@meridian/rpc';
import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import type { Ending, Task } from '../tasks/task.ts';
import { EvidenceWindow } from './evidence-window.ts';

export interface RollEvidenceOptions {
  readonly region: string;
  /** Name of this scheduler in its reports. */
  readonly replica: string;
  readonly models: Pick<Replica, 'aliases'>;
  /** Of the region's sync service. */
  readonly client: Pick<RpcClient<typeof RollService>, 'reportEvidence'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const REPORT_INTERVAL_MS = 1_000;
const REPORT_TIMEOUT_MS = 5_000;
/** Failures that a model makes: of inference, of a process that it took down or hung, of a graph that does not load. */
const MODEL_CODES: ReadonlySet<Code> = new Set(['INTERNAL', 'FAILED_PRECONDITION']);

/**
 * What the tasks of this owner show of the models of rolls that are under way, for the region's gate.
 *
 * 1. A task counts once, when it has ended: as an error when its failure is the model's making, or when an attempt of it
 *    took a worker's process down; not at all when it failed for another reason.
 * 2. The new model is judged by tasks that ended since the region turned to it.
 */
export class RollEvidence implements Component {
  readonly name = 'roll evidence';
  readonly #o: RollEvidenceOptions;
  readonly #window = new EvidenceWindow();
  /** By roll: the trial that is under way, and when it was seen to begin. */
  readonly #trials = new Map<string, { readonly phaseSinceMs: number; readonly sinceMs: number }>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: RollEvidenceOptions) {
    this.#o = options;
  }

  start(): Promise<void> {
    this.#later();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    return Promise.resolve();
  }

  ended(task: Task, ending: Ending): void {
    const isError = isModelError(task, ending);
    if (!isError && ending.how !== 'committed') return;
    const atMs = this.#o.clock.monotonicMs();
    this.#window.add(task.work.modelDigest, { isError, inferenceMs: ending.times.inferenceMs, atMs });
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = this.#o.clock.setTimer(REPORT_INTERVAL_MS, () => void this.#report().then(() => this.#later()));
  }

  async #report(): Promise<void> {
    const { models, logger } = this.#o;
    const open = models.aliases().filter(({ roll, phases }) => rollState(roll, phases) === 'under-way');
    const ids = new Set(open.map(({ roll }) => roll.rollId));
    for (const rollId of this.#trials.keys()) if (!ids.has(rollId)) this.#trials.delete(rollId);
    for (const { roll, phases } of open) {
      try {
        await this.#reportOn(roll, phases);
      } catch (error) {
        logger.debug({ err: error, alias: roll.alias }, 'the evidence of a roll could not be reported');
      }
    }
  }

  async #reportOn(roll: AliasRoll, phases: Phases): Promise<void> {
    const { client, replica } = this.#o;
    const { alias, rollId } = roll;
    const sinceMs = this.#trialSince(roll, phases);
    const request = {
      ...{ alias, rollId, reporter: replica, old: { ...this.#window.of(roll.old.digest) } },
      ...(sinceMs !== undefined && { new: { ...this.#window.of(roll.new.digest, sinceMs) } }),
    };
    await client.reportEvidence(request, { timeoutMs: REPORT_TIMEOUT_MS });
  }

  /** Undefined while the region is not on trial. */
  #trialSince(roll: AliasRoll, phases: Phases): number | undefined {
    const phase = phaseOf(roll, phases, this.#o.region);
    if (phase?.phase !== 'serving-new') {
      this.#trials.delete(roll.rollId);
      return undefined;
    }
    const known = this.#trials.get(roll.rollId);
    if (known?.phaseSinceMs === phase.sinceMs) return known.sinceMs;
    const sinceMs = this.#o.clock.monotonicMs();
    this.#trials.set(roll.rollId, { phaseSinceMs: phase.sinceMs, sinceMs });
    return sinceMs;
  }
}

function isModelError(task: Task, { how, outcome }: Ending): boolean {
  if (task.crashes > 0) return how === 'committed' || how === 'failed';
  if (how !== 'failed' || outcome.kind !== 'failure') return false;
  // A worker that never had the version says nothing about it.
  return MODEL_CODES.has(outcome.failure.code) && outcome.failure.reason !== 'MODEL_SUPERSEDED';
}
