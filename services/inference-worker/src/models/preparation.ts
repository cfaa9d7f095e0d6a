import { Failure } from '@meridian/failure';
import { decodeRecords, formatRecord, modelKey, type Replica, type RequiredRecord } from '@meridian/replica';
import type { Clock } from '@meridian/runtime';
import type { ClaimFacts } from '../claims/held-claim.ts';
import type { Preparation, ServedModel } from '../claims/ports.ts';
import type { ModelLoader } from './model-loader.ts';
import type { RecordRequests } from './record-requests.ts';

export interface ClaimPreparationOptions {
  readonly replica: Pick<Replica, 'missing' | 'waitForRecords'>;
  readonly models: Pick<ModelLoader, 'served' | 'acquire'>;
  /** To the region's sync service. */
  readonly requests: Pick<RecordRequests, 'fetch'>;
  readonly clock: Clock;
  /** A record that this region lacks after this long is not on its way; the owner then places the task elsewhere. */
  readonly recordWaitMs: number;
}

/** For a model that has to be fetched and loaded first. */
const LOAD_TIMEOUT_MS = 30_000;

/** What a claim needs before it can run: the records it was placed with, and its model in memory. Outside of slots. */
export class ClaimPreparation implements Preparation {
  readonly #o: ClaimPreparationOptions;

  constructor(options: ClaimPreparationOptions) {
    this.#o = options;
  }

  ready(facts: ClaimFacts): ServedModel | undefined {
    const records = readRecords(facts);
    if (records instanceof Failure || this.#o.replica.missing(records).length > 0) return undefined;
    return this.#o.models.served(facts.modelDigest);
  }

  async wait(facts: ClaimFacts, signal: AbortSignal): Promise<ServedModel> {
    const records = readRecords(facts);
    if (records instanceof Failure) throw records;
    await this.#records(records, facts.ownerRegion, signal);
    const timer = Promise.withResolvers<never>();
    const timeout = this.#o.clock.setTimer(LOAD_TIMEOUT_MS, () =>
      timer.reject(
        new Failure('UNAVAILABLE', `the model ${facts.model} is still being loaded`, { reason: 'MODEL_NOT_LOADED' }),
      ),
    );
    try {
      return await Promise.race([this.#o.models.acquire(facts.modelDigest), timer.promise]);
    } catch (thrown) {
      const failure = Failure.from(thrown);
      // The record that the claim was placed with has been here: what is here now is newer.
      const wasHere = records.some(({ key }) => key === modelKey(facts.model));
      throw failure.reason === 'MODEL_UNKNOWN' && wasHere ? superseded(facts) : failure;
    } finally {
      timeout.cancel();
    }
  }

  async #records(records: readonly RequiredRecord[], owner: string, signal: AbortSignal): Promise<void> {
    const { replica, requests, recordWaitMs } = this.#o;
    const missing = replica.missing(records);
    if (missing.length === 0) return;
    // The owner has them, it placed the claim with them.
    requests.fetch(missing, owner, recordWaitMs);
    if (await replica.waitForRecords(records, recordWaitMs, signal)) return;
    const names = replica.missing(records).map(formatRecord).join(', ');
    throw new Failure('UNAVAILABLE', `this region has not seen the shared state that the task needs: ${names}`, {
      reason: 'STATE_MISSING',
      details: { missing: names },
    });
  }
}

function superseded({ model, modelDigest }: ClaimFacts): Failure {
  return new Failure('FAILED_PRECONDITION', `${model} is a newer model now, and this worker has no ${modelDigest}`, {
    reason: 'MODEL_SUPERSEDED',
    retryable: true,
  });
}

/** Nobody can run a claim whose records cannot be read: its owner is told, not the broker. */
function readRecords(facts: ClaimFacts): RequiredRecord[] | Failure {
  try {
    return decodeRecords(facts.requires);
  } catch (thrown) {
    return new Failure('INVALID_ARGUMENT', Failure.from(thrown).message, { reason: 'CLAIM_INVALID' });
  }
}
