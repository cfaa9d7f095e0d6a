import { type Dot, parseDot } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import type { Replica } from '@meridian/replica';
import type { Clock } from '@meridian/runtime';
import type { ClaimFacts } from '../claims/held-claim.ts';
import type { Preparation, ServedModel } from '../claims/ports.ts';
import type { ModelLoader } from './model-loader.ts';

/** A record that this region lacks after this long is not on its way; the owner then places the task elsewhere. */
const DOTS_TIMEOUT_MS = 5_000;
/** For a model that has to be fetched and loaded first. */
const LOAD_TIMEOUT_MS = 30_000;

/** What a claim needs before it can run: the records it was placed with, and its model in memory. Outside of slots. */
export class ClaimPreparation implements Preparation {
  readonly #replica: Pick<Replica, 'vector' | 'waitFor'>;
  readonly #models: Pick<ModelLoader, 'served' | 'acquire'>;
  readonly #clock: Clock;

  constructor(o: {
    readonly replica: Pick<Replica, 'vector' | 'waitFor'>;
    readonly models: Pick<ModelLoader, 'served' | 'acquire'>;
    readonly clock: Clock;
  }) {
    this.#replica = o.replica;
    this.#models = o.models;
    this.#clock = o.clock;
  }

  ready(facts: ClaimFacts): ServedModel | undefined {
    const vector = this.#replica.vector();
    for (const text of facts.requires) {
      const dot = parseDot(text);
      if (dot === undefined || !vector.contains(dot)) return undefined;
    }
    return this.#models.served(facts.modelDigest);
  }

  async wait(facts: ClaimFacts, signal: AbortSignal): Promise<ServedModel> {
    const dots = dotsOf(facts);
    if (!(await this.#replica.waitFor(dots, DOTS_TIMEOUT_MS, signal))) {
      const missing = dots.filter((dot) => !this.#replica.vector().contains(dot));
      const names = missing.map(({ actor, counter }) => `${actor}=${counter}`).join(', ');
      throw new Failure('UNAVAILABLE', `this region has not seen the shared state that the task needs: ${names}`, {
        reason: 'STATE_MISSING',
        details: { missing: names },
      });
    }
    const timer = Promise.withResolvers<never>();
    const timeout = this.#clock.setTimer(LOAD_TIMEOUT_MS, () =>
      timer.reject(
        new Failure('UNAVAILABLE', `the model ${facts.model} is still being loaded`, { reason: 'MODEL_NOT_LOADED' }),
      ),
    );
    try {
      return await Promise.race([this.#models.acquire(facts.modelDigest), timer.promise]);
    } finally {
      timeout.cancel();
    }
  }
}

function dotsOf(facts: ClaimFacts): Dot[] {
  return facts.requires.map((text) => {
    const dot = parseDot(text);
    if (dot !== undefined) return dot;
    throw new Failure('INVALID_ARGUMENT', `requires: not a dot: ${JSON.stringify(text.slice(0, 60))}`, {
      reason: 'CLAIM_INVALID',
    });
  });
}
