import type { StateService } from '@meridian/contracts/state';
import { encodeRecord, formatRecord, type RequiredRecord } from '@meridian/replica';
import type { RpcClient } from '@meridian/rpc';
import type { Clock, Logger } from '@meridian/runtime';

export interface RecordRequestsOptions {
  /** Of the region's sync service. */
  readonly client: Pick<RpcClient<typeof StateService>, 'awaitRecords'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The sync service answers at the end of the time that it was given; this much later it has not. */
const ANSWER_MARGIN_MS = 1_000;

/**
 * Asks the sync service to fetch records that are missing here. Whether they have come is seen in the replica, which follows
 * that service: the answer adds nothing, and a failure costs the haste only.
 *
 * 1. One question for the same records of the same region is open at a time, however many claims lack them, until the
 *    last of these has waited for long enough.
 */
export class RecordRequests {
  readonly #o: RecordRequestsOptions;
  /** Until when somebody waits, by question. */
  readonly #open = new Map<string, number>();

  constructor(options: RecordRequestsOptions) {
    this.#o = options;
  }

  /** Returns at once; never throws. @param from the region that has them */
  fetch(records: readonly RequiredRecord[], from: string, timeoutMs: number): void {
    const question = [from, ...records.map(formatRecord)].join('\n');
    const isOpen = this.#open.has(question);
    this.#open.set(question, this.#o.clock.monotonicMs() + timeoutMs);
    if (isOpen) return;
    this.#ask(question, records, from)
      .catch((thrown) => this.#o.logger.warn({ err: thrown, from }, 'missing records could not be asked for'))
      .finally(() => this.#open.delete(question));
  }

  async #ask(question: string, records: readonly RequiredRecord[], from: string): Promise<void> {
    const { client, clock } = this.#o;
    for (let askedUntilMs = 0; ; ) {
      const untilMs = this.#open.get(question) ?? 0;
      const timeoutMs = Math.ceil(untilMs - clock.monotonicMs());
      // Nobody came since who waits for longer.
      if (untilMs <= askedUntilMs || timeoutMs <= 0) return;
      askedUntilMs = untilMs;
      const request = { records: records.map(encodeRecord), fromRegion: from, timeoutMs };
      const { missing } = await client.awaitRecords(request, { timeoutMs: timeoutMs + ANSWER_MARGIN_MS });
      if (missing.length === 0) return;
    }
  }
}
