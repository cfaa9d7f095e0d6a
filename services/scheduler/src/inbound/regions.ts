import type { MessageInitShape } from '@bufbuild/protobuf';
import type { VersionVector } from '@meridian/causality';
import {
  type GetTraceRequest,
  type GetTraceResponseSchema,
  type ListRegionsResponseSchema,
  RegionHealth,
} from '@meridian/contracts/region';
import { Failure } from '@meridian/failure';
import type { SpanArchive } from '../outbound/span-archive.ts';
import type { Health, RegionView } from '../placement/region-view.ts';
import type { Models } from './model-choice.ts';

export interface RegionsOptions {
  readonly region: string;
  readonly regions: ReadonlyMap<string, RegionView>;
  readonly models: Models;
  readonly archive: SpanArchive;
  readonly vector: () => VersionVector;
}

const HEALTH: Readonly<Record<Health, RegionHealth>> = {
  up: RegionHealth.UP,
  suspect: RegionHealth.SUSPECT,
  down: RegionHealth.DOWN,
};

/** `ListRegions` and `GetTrace`. */
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
