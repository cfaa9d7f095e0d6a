import type { Outcome } from '../claims/held-claim.ts';
import type { ServedModel, Slots } from '../claims/ports.ts';
import type { PreparedModel } from './loaded-models.ts';
import { Supervisor, type SupervisorOptions } from './supervisor.ts';

export interface PoolOptions extends Omit<SupervisorOptions, 'onFree'> {
  /** Inference processes; each occupies one core. */
  readonly slots: number;
}

/** All inference processes of this worker: each picture goes to the one with the most room. */
export class ChildPool implements Slots {
  readonly #supervisors: readonly Supervisor[];
  readonly #models = new Map<string, PreparedModel>();
  readonly #listeners: (() => void)[] = [];

  constructor(options: PoolOptions) {
    const onFree = () => {
      for (const listener of this.#listeners) listener();
    };
    this.#supervisors = Array.from({ length: options.slots }, () => new Supervisor({ ...options, onFree }));
  }

  start(): void {
    for (const supervisor of this.#supervisors) supervisor.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#supervisors.map((supervisor) => supervisor.stop()));
  }

  get free(): number {
    return this.#supervisors.reduce((sum, { free }) => sum + free, 0);
  }

  /** Of the processes that run now; for operators and tests. */
  get pids(): number[] {
    return this.#supervisors.map(({ pid }) => pid).filter((pid) => pid > 0);
  }

  onFree(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Loads it into every process. @throws Failure why it does not load. */
  async load(model: PreparedModel): Promise<void> {
    await Promise.all(this.#supervisors.map((supervisor) => supervisor.load(model)));
    this.#models.set(model.digest, model);
  }

  /** It is not to be run any more: its memory is given back, and new processes do not load it. */
  forget(model: PreparedModel): void {
    if (this.#models.get(model.digest)?.number === model.number) this.#models.delete(model.digest);
    for (const supervisor of this.#supervisors) supervisor.forget(model);
  }

  run(model: ServedModel, picture: Uint8Array): Promise<Outcome> {
    const prepared = this.#models.get(model.digest);
    if (prepared === undefined) return Promise.resolve(notLoaded(model));
    const [first, ...others] = this.#supervisors;
    let best = first;
    for (const other of others) if (best === undefined || other.free > best.free) best = other;
    return best === undefined ? Promise.resolve(notLoaded(model)) : best.run(prepared, picture);
  }
}

function notLoaded(model: ServedModel): Outcome {
  const message = `the model ${model.name} is not loaded here`;
  return { kind: 'failure', failure: { code: 'UNAVAILABLE', reason: 'MODEL_NOT_LOADED', message, retryable: true } };
}
