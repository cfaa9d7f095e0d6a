import type { Component } from '@meridian/runtime';
import type { ChildPool } from './child/pool.ts';
import type { ClaimDesk } from './claims/claim-desk.ts';
import type { ClaimSource } from './intake/claim-source.ts';

/**
 * Intake, desk and inference processes as one component, because their drain has one order: stop pulling, give back
 * what has not begun, finish what has, wait for its acknowledgements.
 */
export class Worker implements Component {
  readonly name = 'worker';
  readonly #source: ClaimSource;
  readonly #desk: ClaimDesk;
  readonly #pool: ChildPool;

  constructor(o: { readonly source: ClaimSource; readonly desk: ClaimDesk; readonly pool: ChildPool }) {
    this.#source = o.source;
    this.#desk = o.desk;
    this.#pool = o.pool;
  }

  start(): Promise<void> {
    this.#pool.start();
    this.#desk.start();
    return Promise.resolve();
  }

  async drain(signal: AbortSignal): Promise<void> {
    const stopped = this.#source.stop();
    await this.#desk.drain(signal);
    await stopped;
    this.#source.flush();
  }

  async stop(): Promise<void> {
    await this.#source.stop();
    this.#source.flush();
    this.#desk.stop();
    await this.#pool.stop();
  }
}
