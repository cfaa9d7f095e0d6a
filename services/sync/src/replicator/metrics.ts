import type { VersionVector } from '@meridian/causality';
import { attributeNames } from '@meridian/runtime';
import type { Counter, Meter } from '@opentelemetry/api';
import type { AlarmReason, Event } from '../replication/protocol.ts';

/** What the sync service counts. Alarms are for people: each should be 0. */
export class SyncMetrics {
  readonly #meter: Meter;
  readonly #events: Counter;
  readonly #alarms: Counter;
  readonly #retries: Counter;

  constructor(meter: Meter) {
    this.#meter = meter;
    this.#events = meter.createCounter('meridian.sync.events', {
      description: 'Deltas applied, known or with a gap, fetches started, completed or failed, by peer',
    });
    this.#alarms = meter.createCounter('meridian.sync.alarms', {
      description:
        'What must not happen: cloned, restored or damaged logs, reused dots, far-future clocks, strangers, full state, by peer',
    });
    this.#retries = meter.createCounter('meridian.sync.append.retries', {
      description: 'Records that the state log did not take at once, by reason',
    });
  }

  event(event: Event, peer: string): void {
    this.#events.add(1, { [attributeNames.outcome]: event, [attributeNames.peer]: peer });
  }

  alarm(reason: AlarmReason | 'LOG_DAMAGED' | 'LOG_LOST', peer: string): void {
    this.#alarms.add(1, { [attributeNames.reason]: reason, [attributeNames.peer]: peer });
  }

  appendRetried(reason: string): void {
    this.#retries.add(1, { [attributeNames.reason]: reason });
  }

  /** Gauges, read when they are asked for. */
  observe(read: () => { readonly entries: number; readonly vector: VersionVector; readonly conflicts: number }): void {
    const entries = this.#meter.createObservableGauge('meridian.sync.entries', { description: 'Keys of the state' });
    const conflicts = this.#meter.createObservableGauge('meridian.sync.conflicts', {
      description: 'Keys whose concurrent versions differ',
    });
    const vector = this.#meter.createObservableGauge('meridian.sync.vector.entries', {
      description: 'Actors in the version vector, of 64',
    });
    this.#meter.addBatchObservableCallback(
      (result) => {
        const now = read();
        result.observe(entries, now.entries);
        result.observe(conflicts, now.conflicts);
        result.observe(vector, now.vector.size);
      },
      [entries, conflicts, vector],
    );
  }
}
