import { Failure } from '@meridian/failure';
import type { ServedModel } from '../claims/ports.ts';
import { encodeFrame, FRAME_KINDS } from './protocol.ts';

/** A model whose weights are on disk, checked; what a child needs to open it. */
export interface PreparedModel extends ServedModel {
  /** Stable in this process, and what frames carry in place of the digest. */
  readonly number: number;
  /** The order for the child, as it travels. */
  readonly loadOrder: string;
}

interface Entry {
  readonly model: PreparedModel;
  /** In this life of the child. */
  state: 'absent' | 'loading' | 'loaded';
  sinceMs: number;
  readonly waiters: PromiseWithResolvers<void>[];
}

/**
 * Which models a child has in memory, over all its lives.
 *
 * 1. At most `loadedMax` are loaded, and as many more loading as are waited for; the one used longest ago makes room.
 *    The child finishes what it was given before it unloads.
 * 2. A new life gets the models of the last one, the last used first.
 */
export class LoadedModels {
  readonly #loadedMax: number;
  readonly #send: (frame: Buffer) => void;
  /** In order of use, the last used last. */
  readonly #entries = new Map<number, Entry>();

  constructor(loadedMax: number, send: (frame: Buffer) => void) {
    this.#loadedMax = loadedMax;
    this.#send = send;
  }

  /** @param alive load at once; otherwise with the next life. @throws Failure why it does not load. */
  want(model: PreparedModel, alive: boolean): Promise<void> {
    const entry = this.#entry(model);
    if (entry.state === 'loaded') return Promise.resolve();
    const waiter = Promise.withResolvers<void>();
    entry.waiters.push(waiter);
    if (alive) this.#load(entry);
    return waiter.promise;
  }

  /** A picture is about to be sent for it: the order to load goes before. */
  use(model: PreparedModel): void {
    const entry = this.#entry(model);
    this.#entries.delete(model.number);
    this.#entries.set(model.number, entry);
    this.#load(entry);
  }

  loaded(number: number, nowMs: number): void {
    const entry = this.#entries.get(number);
    if (entry === undefined) return;
    entry.state = 'loaded';
    entry.sinceMs = nowMs;
    this.#makeRoom(0);
    for (const waiter of entry.waiters.splice(0)) waiter.resolve();
  }

  /** It is not wanted any more. */
  forget(number: number): void {
    const entry = this.#entries.get(number);
    if (entry === undefined) return;
    this.failed(number, new Failure('CANCELLED', 'the model is not wanted any more'));
    if (entry.state !== 'absent') this.#send(encodeFrame(FRAME_KINDS.unload, number));
  }

  failed(number: number, failure: Failure): void {
    const entry = this.#entries.get(number);
    if (entry === undefined) return;
    this.#entries.delete(number);
    for (const waiter of entry.waiters.splice(0)) waiter.reject(failure);
  }

  /** The child listens: it has nothing yet. */
  bornAgain(): void {
    const entries = [...this.#entries.values()].reverse();
    for (const [i, entry] of entries.entries()) if (i < this.#loadedMax || entry.waiters.length > 0) this.#load(entry);
  }

  /** Nothing is loaded any more. */
  close(): void {
    const failure = new Failure('UNAVAILABLE', 'the worker is stopping', { reason: 'WORKER_STOPPED' });
    for (const number of [...this.#entries.keys()]) this.failed(number, failure);
  }

  /** The child ended. What it was loading failed: perhaps because of that. What was loaded comes back by itself. */
  gone(failure: Failure): void {
    for (const [number, entry] of this.#entries) {
      if (entry.state === 'loading') this.failed(number, failure);
      else entry.state = 'absent';
    }
  }

  /** Undefined while it is not in memory. */
  loadedAtMs(model: PreparedModel): number | undefined {
    const entry = this.#entries.get(model.number);
    return entry?.state === 'loaded' ? entry.sinceMs : undefined;
  }

  /** How long the oldest load has been under way. */
  loadingForMs(nowMs: number): number {
    let oldestMs = 0;
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'loading') continue;
      if (entry.sinceMs === 0) entry.sinceMs = nowMs;
      oldestMs = Math.max(oldestMs, nowMs - entry.sinceMs);
    }
    return oldestMs;
  }

  #entry(model: PreparedModel): Entry {
    const known = this.#entries.get(model.number);
    if (known !== undefined) return known;
    const entry: Entry = { model, state: 'absent', sinceMs: 0, waiters: [] };
    this.#entries.set(model.number, entry);
    return entry;
  }

  #load(entry: Entry): void {
    if (entry.state !== 'absent') return;
    this.#makeRoom(1);
    entry.state = 'loading';
    entry.sinceMs = 0;
    this.#send(encodeFrame(FRAME_KINDS.load, entry.model.number, entry.model.loadOrder));
  }

  /** Unloads until `more` models fit beside those that are there; what is still loading cannot be unloaded. */
  #makeRoom(more: number): void {
    const present = [...this.#entries.values()].filter((entry) => entry.state !== 'absent');
    const loaded = present.filter((entry) => entry.state === 'loaded');
    for (const entry of loaded.slice(0, Math.max(0, present.length + more - this.#loadedMax))) {
      entry.state = 'absent';
      this.#send(encodeFrame(FRAME_KINDS.unload, entry.model.number));
    }
  }
}
