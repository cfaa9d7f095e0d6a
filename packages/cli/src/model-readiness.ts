import type { AddModelResponse, ListModelsResponse, Model, StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import type { Clock } from '@meridian/runtime';

const CALL_TIMEOUT_MS = 10_000;
/** A model of some hundred megabytes is loaded in a few seconds; a worker that failed before tries again within a minute. */
const READY_TIMEOUT_MS = 90_000;
const READY_POLL_MS = 300;

export interface Readiness {
  /** Where it can be run. */
  readonly ready: readonly string[];
  /** Where not yet. */
  readonly missing: readonly string[];
}

export interface AwaitReadyOptions {
  readonly client: Pick<RpcClient<typeof StateService>, 'listModels'>;
  /** The region that is asked; undefined: any one will do. */
  readonly region: string | undefined;
  /** Wait for every region that the asked one knows. */
  readonly everywhere: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Waits until a model that was added can be run.
 * @throws Failure MODEL_NOT_READY with what the region's workers say, or when it takes too long.
 */
export async function awaitReady(
  { model, modelDigest }: AddModelResponse,
  { client, region, everywhere, clock, signal }: AwaitReadyOptions,
): Promise<Readiness> {
  const untilMs = clock.monotonicMs() + READY_TIMEOUT_MS;
  const refuse = (why: string) =>
    new Failure('FAILED_PRECONDITION', `${model} is in the catalogue, but ${why}`, { reason: 'MODEL_NOT_READY' });
  for (;;) {
    const answer = await client.listModels({}, { timeoutMs: CALL_TIMEOUT_MS, signal });
    const found = answer.models.find((one) => one.modelDigest === modelDigest);
    if (found === undefined) throw refuse('another version of that name has replaced it');
    const state = readinessOf(found, answer);
    const isHere = region === undefined ? state.ready.length > 0 : state.ready.includes(region);
    if (isHere && (!everywhere || state.missing.length === 0)) return state;
    if (found.problem !== '') throw refuse(`${region ?? 'the region'} cannot run it: ${found.problem}`);
    if (clock.monotonicMs() >= untilMs) {
      const where = isHere ? state.missing.join(', ') : (region ?? 'any region');
      throw refuse(`not ready in ${where} after ${READY_TIMEOUT_MS / 1_000} s: is there a worker, and a link?`);
    }
    await clock.sleep(READY_POLL_MS, signal);
  }
}

/** A sync service of an earlier version does not name the regions. */
function readinessOf({ readyRegions }: Model, { regions }: ListModelsResponse): Readiness {
  const missing = regions.filter((region) => !readyRegions.includes(region));
  return { ready: readyRegions, missing };
}
