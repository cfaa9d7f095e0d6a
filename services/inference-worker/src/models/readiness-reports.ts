import type { StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import { backoffMs, type Clock, type Logger, type Random } from '@meridian/runtime';

export interface ReadinessReportsOptions {
  /** Of the region's sync service. */
  readonly client: Pick<RpcClient<typeof StateService>, 'reportReady'>;
  readonly worker: string;
  /** Whether the shared state still has the version. */
  readonly isKnown: (digest: string) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Shorter is noticed sooner when this worker dies, and costs one small call for each model. */
const REPEAT_MS = 15_000;
/** Some repetitions may be lost. */
const LEASE_MS = 60_000;
const REPORT_RETRY = { initialMs: 200, maxMs: 5_000 };
const REPORT_TIMEOUT_MS = 5_000;

/** Why the worker cannot run a model; empty when it can. */
interface Word {
  readonly problem: string;
}

/**
 * What this worker says of each model to its region's sync service: that it can run it, or why it cannot.
 *
 * 1. One word a model, the newest. It is repeated while it holds, so that a worker that is gone is noticed, and a sync
 *    service that restarts hears it.
 * 2. Of a version that the shared state does not have any more nothing is said: nobody is sent to it.
 */
export class ReadinessReports {
  readonly #o: ReadinessReportsOptions;
  readonly #words = new Map<string, Word>();
  readonly #stopping = new AbortController();

  constructor(options: ReadinessReportsOptions) {
    this.#o = options;
  }

  ready(digest: string): void {
    this.#say(digest, { problem: '' });
  }

  /** For people, and for rolls. */
  problem(digest: string, problem: string): void {
    if (this.#words.get(digest)?.problem !== problem) this.#say(digest, { problem });
  }

  /** What was said of the model does not hold any more. */
  withdraw(digest: string): void {
    if (!this.#words.delete(digest)) return;
    this.#send(digest, undefined, this.#stopping.signal).catch((thrown) => this.#lost(thrown, digest));
  }

  /** This worker takes no more. Nothing is repeated any more. */
  async drain(signal: AbortSignal): Promise<void> {
    this.stop();
    const digests = [...this.#words.keys()];
    this.#words.clear();
    const sent = digests.map((digest) =>
      this.#send(digest, undefined, signal).catch((thrown) => this.#lost(thrown, digest)),
    );
    await Promise.all(sent);
  }

  stop(): void {
    this.#stopping.abort(new Failure('CANCELLED', 'the worker is stopping'));
  }

  #say(digest: string, word: Word): void {
    this.#words.set(digest, word);
    void this.#repeat(digest, word);
  }

  async #repeat(digest: string, word: Word): Promise<void> {
    const { isKnown, clock, random } = this.#o;
    const { signal } = this.#stopping;
    for (let failures = 0; this.#words.get(digest) === word && !signal.aborted; ) {
      if (!isKnown(digest)) {
        this.#words.delete(digest);
        return;
      }
      try {
        await this.#send(digest, word, signal);
        failures = 0;
      } catch (thrown) {
        if (failures++ === 0) this.#lost(thrown, digest);
      }
      const delayMs = failures === 0 ? REPEAT_MS : backoffMs(failures - 1, REPORT_RETRY, random);
      await clock.sleep(delayMs, signal).catch(() => undefined);
    }
  }

  /** @param word undefined: neither ready nor a problem */
  async #send(modelDigest: string, word: Word | undefined, signal: AbortSignal): Promise<void> {
    const { client, worker } = this.#o;
    const said = { ready: word?.problem === '', problem: word?.problem ?? '', leaseMs: LEASE_MS };
    await client.reportReady({ modelDigest, worker, ...said }, { signal, timeoutMs: REPORT_TIMEOUT_MS });
  }

  #lost(thrown: unknown, digest: string): void {
    if (this.#stopping.signal.aborted) return;
    this.#o.logger.warn({ err: thrown, digest }, 'the sync service could not be told what this worker can run');
  }
}
