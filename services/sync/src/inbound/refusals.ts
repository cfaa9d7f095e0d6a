import { Failure } from '@meridian/failure';
import { LogLimiter } from '@meridian/messaging';
import type { Peer } from '@meridian/rpc';
import { attributeNames, type Clock, type Logger } from '@meridian/runtime';
import type { Counter, Meter } from '@opentelemetry/api';

export interface RefusalsOptions {
  readonly meter: Meter;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What came from a peer or a client, was a valid message, and was refused all the same. */
export class Refusals {
  readonly #logger: Logger;
  readonly #limiter: LogLimiter;
  readonly #refused: Counter;

  constructor({ meter, clock, logger }: RefusalsOptions) {
    this.#logger = logger;
    this.#limiter = new LogLimiter(clock);
    this.#refused = meter.createCounter('meridian.sync.refused', {
      description:
        'Messages of peers and requests of clients that were well-formed and could not be taken, by kind and reason',
    });
  }

  /** Runs what a client asked for, and counts it when the request was not valid. */
  async around<T>(kind: 'write' | 'read', { name, role }: Peer, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (Failure.from(error).code === 'INVALID_ARGUMENT') this.add(kind, `${role}/${name}`, error);
      throw error;
    }
  }

  /** @param kind of the message, from a closed set */
  add(kind: 'delta' | 'head' | 'fetch' | 'blob' | 'write' | 'read', peer: string, thrown: unknown): void {
    const { reason, message } = Failure.from(thrown);
    this.#refused.add(1, { [attributeNames.subject]: kind, [attributeNames.reason]: reason });
    const admitted = this.#limiter.admit(`${kind} ${reason}`);
    if (admitted === undefined) return;
    const { suppressed } = admitted;
    this.#logger.warn({ kind, reason, peer: peer.slice(0, 63), detail: message.slice(0, 300), suppressed }, 'refused');
  }
}
