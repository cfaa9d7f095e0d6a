import { assert, Failure } from '@meridian/failure';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

/**
 * Ordered start and reverse stop of a process's parts.
 *
 * 1. Components start one after the other; a failing start stops those that run, in reverse order, and is thrown.
 * 2. Shutdown drains in reverse order (the last started is the intake) within one budget for all, then stops in
 *    reverse order, each within its own time. A failing or late part never keeps the others from being stopped.
 * 3. `shutdown` may be called at any time and any number of times: all callers share one result.
 */
export interface Component {
  readonly name: string;
  start(): Promise<void>;
  /** Stops intake and finishes what is in flight; gives up when the signal aborts. */
  drain?(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

export interface LifecycleOptions {
  /** For draining all components together. */
  readonly drainTimeoutMs: number;
  /** For stopping each component. */
  readonly stopTimeoutMs: number;
  /** For starting each component; default 120 s: a first start may have to fetch models. */
  readonly startTimeoutMs?: number;
  readonly logger: Logger;
  readonly clock: Clock;
}

const START_TIMEOUT_MS = 120_000;

export class Lifecycle {
  readonly #components: readonly Component[];
  readonly #options: LifecycleOptions;
  readonly #running: Component[] = [];
  #starting: Promise<void> | undefined;
  #shutdown: Promise<void> | undefined;

  constructor(components: readonly Component[], options: LifecycleOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** @throws the failure of the component that did not start; everything started before it has been stopped by then. */
  start(): Promise<void> {
    assert(this.#starting === undefined, 'a lifecycle starts once');
    this.#starting = this.#startAll();
    return this.#starting;
  }

  /** @throws AggregateError of what failed or came too late; everything has been tried by then. */
  shutdown(): Promise<void> {
    this.#shutdown ??= this.#shutdownAll();
    return this.#shutdown;
  }

  async #startAll(): Promise<void> {
    for (const component of this.#components) {
      if (this.#shutdown !== undefined) throw new Failure('CANCELLED', 'shut down while starting');
      try {
        const timeoutMs = this.#options.startTimeoutMs ?? START_TIMEOUT_MS;
        // Counted as running from here: a start that failed halfway may hold resources.
        this.#running.push(component);
        await this.#within(timeoutMs, `start of ${component.name}`, () => component.start());
      } catch (error) {
        this.#options.logger.error({ err: error, component: component.name }, 'component failed to start');
        const failures = await this.#stopAll();
        for (const failure of failures) this.#options.logger.warn({ err: failure }, 'stop after failed start');
        throw error;
      }
    }
  }

  async #shutdownAll(): Promise<void> {
    // The start's own failure is thrown to the caller of start().
    await this.#starting?.catch(() => undefined);
    const failures = [...(await this.#drainAll()), ...(await this.#stopAll())];
    if (failures.length > 0) throw new AggregateError(failures, `shutdown: ${failures.map(messageOf).join('; ')}`);
  }

  async #drainAll(): Promise<unknown[]> {
    const failures: unknown[] = [];
    const budget = new AbortController();
    const timer = this.#options.clock.setTimer(this.#options.drainTimeoutMs, () => {
      budget.abort(new Failure('DEADLINE_EXCEEDED', `drain took longer than ${this.#options.drainTimeoutMs} ms`));
    });
    for (const component of this.#running.toReversed()) {
      if (component.drain === undefined) continue;
      try {
        await untilAborted(component.drain(budget.signal), budget.signal, component.name);
      } catch (error) {
        this.#options.logger.warn({ err: error, component: component.name }, 'drain did not finish');
        failures.push(error);
      }
    }
    timer.cancel();
    return failures;
  }

  async #stopAll(): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (let component = this.#running.pop(); component !== undefined; component = this.#running.pop()) {
      const { name } = component;
      try {
        const stopping = component;
        await this.#within(this.#options.stopTimeoutMs, `stop of ${name}`, () => stopping.stop());
      } catch (error) {
        this.#options.logger.warn({ err: error, component: name }, 'component failed to stop');
        failures.push(error);
      }
    }
    return failures;
  }

  async #within(timeoutMs: number, what: string, run: () => Promise<void>): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = this.#options.clock.setTimer(timeoutMs, () =>
      late.reject(new Failure('DEADLINE_EXCEEDED', `${what} took longer than ${timeoutMs} ms`)),
    );
    try {
      await Promise.race([run(), late.promise]);
    } finally {
      timer.cancel();
    }
  }
}

/** A drain that heeds its signal ends by itself; one that does not is left behind. */
async function untilAborted(work: Promise<void>, signal: AbortSignal, name: string): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () =>
    // One turn of grace: a drain that reacts to the signal reports its own result.
    setImmediate(() =>
      aborted.reject(new Failure('DEADLINE_EXCEEDED', `drain of ${name} was cut short`, { cause: signal.reason })),
    );
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    aborted.promise.catch(() => undefined);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
