import { RecognitionService } from '@meridian/contracts/recognition';
import { type Channel, createClient, type RpcClient } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import type { Answer } from './answers.ts';

const TIMEOUT_MS = 60_000;
/** Between two pictures at one door: the machine has more to do. */
const PAUSE_MS = 5;

/**
 * Clients of one region that send one picture after the other by an alias, each after the answer to the one before: the
 * answers are in the order in which their tasks were placed.
 */
export class Traffic {
  readonly region: string;
  readonly answers: Answer[] = [];
  /** What was refused or failed: nothing is, in any roll. */
  readonly failures: string[] = [];
  readonly #client: RpcClient<typeof RecognitionService>;
  readonly #request: { readonly picture: Uint8Array; readonly model: string; readonly noCache: true };
  #flowing: Promise<void> | undefined;
  #wanted = false;

  constructor(region: string, channel: Channel, request: { readonly picture: Uint8Array; readonly model: string }) {
    this.region = region;
    this.#client = createClient(RecognitionService, channel);
    // Each answer is to have a task of its own, and a claim that the checker finds.
    this.#request = { ...request, noCache: true };
  }

  flow(): void {
    this.#wanted = true;
    this.#flowing ??= this.#run().finally(() => {
      this.#flowing = undefined;
    });
  }

  /** Resolves when the last answer is here. */
  async pause(): Promise<void> {
    this.#wanted = false;
    await this.#flowing;
  }

  async #run(): Promise<void> {
    while (this.#wanted) {
      await this.#recognize();
      await systemClock.sleep(PAUSE_MS);
    }
  }

  async #recognize(): Promise<void> {
    try {
      const { result } = await this.#client.recognize(this.#request, { timeoutMs: TIMEOUT_MS });
      const { taskId, model, modelDigest, outcome } = result ?? {};
      const objects = outcome?.case === 'recognition' ? outcome.value.objects : [];
      const labels = objects.map(({ label }) => label);
      this.answers.push({
        ...{ door: this.region, labels },
        ...{ taskId: taskId ?? '', model: model ?? '', modelDigest: modelDigest ?? '' },
      });
    } catch (error) {
      this.failures.push(`${this.region}: ${String(error)}`);
    }
  }
}
