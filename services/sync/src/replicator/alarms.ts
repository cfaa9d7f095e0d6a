import { LogLimiter } from '@meridian/messaging';
import type { Clock, Logger } from '@meridian/runtime';
import type { AlarmReason } from '../replication/protocol.ts';
import type { SyncMetrics } from './metrics.ts';

const DETAIL_CHARS_MAX = 300;

/** What must not happen: each is counted; a peer that goes on raising one does not fill the log. */
export class Alarms {
  readonly #metrics: SyncMetrics;
  readonly #logger: Logger;
  readonly #limiter: LogLimiter;

  constructor({ metrics, logger, clock }: { metrics: SyncMetrics; logger: Logger; clock: Clock }) {
    this.#metrics = metrics;
    this.#logger = logger;
    this.#limiter = new LogLimiter(clock);
  }

  raise(reason: AlarmReason, peer: string, text: string): void {
    this.#metrics.alarm(reason, peer);
    const admitted = this.#limiter.admit(`${reason} ${peer}`);
    if (admitted === undefined) return;
    const detail = text.slice(0, DETAIL_CHARS_MAX);
    this.#logger.error({ reason, peer, detail, suppressed: admitted.suppressed }, 'replication alarm');
  }
}
