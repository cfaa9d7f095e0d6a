import { Failure } from '@meridian/failure';
import type { Outbox } from '@meridian/rpc';
import type { Clock, Logger } from '@meridian/runtime';
import type { StreamRef } from '../tasks/ports.ts';
import type { ClaimsAhead } from './claims-ahead.ts';
import { type ToWorker, type WorkerLoad, WorkerStream } from './worker-stream.ts';

export interface WorkerStreamsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly started: (ref: StreamRef) => void;
  readonly ended: (ref: StreamRef) => void;
}

export const HEARTBEAT_MS = 300;
/** Of workers of the own region: they say in it how much they have to do, as often as the region's load is reported. */
export const LOCAL_HEARTBEAT_MS = 100;
/** Three heartbeats without one: the worker or its link is gone. */
const SILENCE_MAX_MS = 3 * HEARTBEAT_MS;
/** Workers of all regions that work for this owner. */
const STREAMS_MAX = 1024;

/**
 * The collector streams of all workers that are attached here.
 *
 * 1. A worker has one stream; a second one of the same name and region replaces the first, whose tasks are lost.
 * 2. `started` and `ended` are called once each, in turn, and `ended` at once: before anything else that the loss causes.
 */
export class WorkerStreams {
  readonly #options: WorkerStreamsOptions;
  readonly #byId = new Map<string, WorkerStream>();
  readonly #byWorker = new Map<string, WorkerStream>();
  #count = 0;

  constructor(options: WorkerStreamsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): WorkerStream | undefined {
    return this.#byId.get(id);
  }

  workersOf(region: string): number {
    let count = 0;
    for (const { ref } of this.#byWorker.values()) if (ref.region === region) count++;
    return count;
  }

  /** Together, as they said last. */
  loadOf(region: string): WorkerLoad {
    const sum = { slots: 0, onTheWay: 0, settled: 0 };
    for (const { ref, load } of this.#byWorker.values()) {
      if (ref.region !== region) continue;
      sum.slots += load.slots;
      sum.onTheWay += load.onTheWay;
      sum.settled += load.settled;
    }
    return sum;
  }

  /** Of those of the region's workers that have measured it. */
  claimsAheadOf(region: string): readonly ClaimsAhead[] {
    return [...this.#byWorker.values()].flatMap(({ ref, claimsAhead }) =>
      ref.region === region && claimsAhead !== undefined ? [claimsAhead] : [],
    );
  }

  /** To every worker of the region that is attached here. */
  tell(region: string, message: ToWorker): void {
    for (const stream of this.#byWorker.values()) if (stream.ref.region === region) stream.send(message);
  }

  /** @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WORKERS. Retryable. */
  open(worker: string, region: string, outbox: Outbox<ToWorker>): WorkerStream {
    const { clock, logger, started } = this.#options;
    if (this.#byId.size >= STREAMS_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `${STREAMS_MAX} workers are attached here`, {
        reason: 'TOO_MANY_WORKERS',
      });
    const key = `${region} ${worker}`;
    const older = this.#byWorker.get(key);
    if (older !== undefined)
      this.end(older, new Failure('ABORTED', 'the worker attached again', { reason: 'STREAM_REPLACED' }));
    const stream = new WorkerStream({ id: `${++this.#count}`, region, worker }, outbox, clock.monotonicMs());
    this.#byId.set(stream.ref.id, stream);
    this.#byWorker.set(key, stream);
    logger.info({ worker, workerRegion: region }, 'worker attached');
    started(stream.ref);
    return stream;
  }

  /** The stream is over, or has to be. Idempotent. */
  end(stream: WorkerStream, failure?: Failure): void {
    stream.close(failure);
    const { ref } = stream;
    if (!this.#byId.delete(ref.id)) return;
    const key = `${ref.region} ${ref.worker}`;
    if (this.#byWorker.get(key) === stream) this.#byWorker.delete(key);
    this.#options.logger.info({ worker: ref.worker, workerRegion: ref.region, reason: failure?.reason }, 'worker gone');
    this.#options.ended(ref);
  }

  /** @param deafMs time in which this process could not have heard anybody */
  tick(deafMs: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const stream of [...this.#byId.values()]) {
      stream.heardMs += deafMs;
      if (nowMs - stream.heardMs <= SILENCE_MAX_MS) continue;
      const message = `no heartbeat for ${SILENCE_MAX_MS} ms`;
      this.end(stream, new Failure('UNAVAILABLE', message, { reason: 'HEARTBEAT_MISSED' }));
    }
  }

  endAll(failure: Failure): void {
    for (const stream of [...this.#byId.values()]) this.end(stream, failure);
  }
}
