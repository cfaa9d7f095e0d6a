import type { MessageInitShape } from '@bufbuild/protobuf';
import type { VersionVector } from '@meridian/causality';
import {
  type ExplainTaskRequest,
  type ExplainTaskResponseSchema,
  type GetTraceRequest,
  type GetTraceResponseSchema,
  type ListRegionsResponseSchema,
  RegionHealth,
} from '@meridian/contracts/region';
import { Failure } from '@meridian/failure';
import type { Clock } from '@meridian/runtime';
import { decisionMessage } from '../codec/decision.ts';
import type { SpanArchive } from '../outbound/span-archive.ts';
import type { Health, RegionView } from '../placement/region-view.ts';
import type { Dispatcher } from '../tasks/dispatcher.ts';
import type { Models } from './model-choice.ts';

export interface RegionsOptions {
  readonly region: string;
  readonly regions: ReadonlyMap<string, RegionView>;
  readonly models: Models;
  readonly archive: SpanArchive;
  readonly vector: () => VersionVector;
  readonly dispatcher: () => Dispatcher;
  readonly clock: Clock;
}

const HEALTH: Readonly<Record<Health, RegionHealth>> = {
  up: RegionHealth.UP,
  suspect: RegionHealth.SUSPECT,
  down: RegionHealth.DOWN,
};

/** `ListRegions`, `GetTrace` and `ExplainTask`. */
export class RegionsHandlers {
  readonly #o: RegionsOptions;

  constructor(options: RegionsOptions) {
    this.#o = options;
  }

  async listRegions(): Promise<MessageInitShape<typeof ListRegionsResponseSchema>> {
    const { region, regions, vector } = this.#o;
    return {
      region,
      regions: [...regions.values()].map((view) => this.#show(view)),
      versionVector: vector().toString(),
    };
  }

  async getTrace({ key }: GetTraceRequest): Promise<MessageInitShape<typeof GetTraceResponseSchema>> {
    if (key.case === undefined || key.value === '')
      throw new Failure('INVALID_ARGUMENT', 'key: name a task or a trace', { reason: 'KEY_MISSING' });
    return this.#o.archive.find(key);
  }

  /**
   * @throws Failure NOT_FOUND / DECISION_NOT_KEPT for a task of another owner, or one whose decisions have made room for
   *   newer ones. Not retryable.
   */
  async explainTask({ taskId }: ExplainTaskRequest): Promise<MessageInitShape<typeof ExplainTaskResponseSchema>> {
    if (taskId === '') throw new Failure('INVALID_ARGUMENT', 'task_id: name a task', { reason: 'KEY_MISSING' });
    const dispatcher = this.#o.dispatcher();
    const decisions = dispatcher.explain(taskId, this.#o.clock.nowMs());
    const keptMax = dispatcher.decisionsMax;
    if (decisions.length > 0) return { taskId, decisions: decisions.map(decisionMessage), keptMax };
    const message = `no decision about ${taskId.slice(0, 200)} is kept here: a region keeps its last ${keptMax} since its scheduler started, of tasks that it accepted`;
    throw new Failure('NOT_FOUND', message, { reason: 'DECISION_NOT_KEPT' });
  }

  #show(view: RegionView) {
    const { name } = view.facts;
    const models = this.#o.models.models().filter(({ digest }) => this.#o.models.readyRegions(digest).has(name));
    return {
      name,
      health: HEALTH[view.health],
      roundTripMs: view.roundTripMs,
      outstanding: view.load.outstanding,
      capacity: view.load.capacity,
      price: view.load.price,
      workers: Math.max(view.load.workers ?? 0, view.streams),
      modelDigests: models.map(({ digest }) => digest),
      heardUnixMs: BigInt(Math.round(view.heardMs)),
    };
  }
}
