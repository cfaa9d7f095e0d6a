import { Failure } from '@meridian/failure';
import { LogLimiter } from '@meridian/messaging';
import { attributeNames, type Clock, type Logger } from '@meridian/runtime';
import type { Counter, Meter } from '@opentelemetry/api';

export interface RefusalsOptions {
  readonly meter: Meter;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What came from a peer, was a valid event, and was refused all the same. */
export class Refusals {
  readonly #logger: Logger;
  readonly #limiter: LogLimiter;
  readonly #refused: Counter;

  constructor({ meter, clock, logger }: RefusalsOptions) {
    this.#logger = logger;
    this.#limiter = new LogLimiter(clock);
    this.#refused = meter.createCounter('meridian.sync.refused', {
      description: 'Messages of peers that were valid events and could not be taken, by kind and reason',
    });
  }

  /** @param kind of the message, from a closed set */
  add(kind: 'delta' | 'head' | 'fetch' | 'blob', peer: string, thrown: unknown): void {
    const { reason, message } = Failure.from(thrown);
    this.#refused.add(1, { [attributeNames.subject]: kind, [attributeNames.reason]: reason });
    const admitted = this.#limiter.admit(`${kind} ${reason}`);
    if (admitted === undefined) return;
    const { suppressed } = admitted;
    this.#logger.warn({ kind, reason, peer: peer.slice(0, 63), detail: message.slice(0, 300), suppressed }, 'refused');
  }
}
