import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { Failure } from '@meridian/failure';
import { backoffMs, type Clock, type Random } from '@meridian/runtime';

export interface ProcessSpec {
  /** `beijing/scheduler`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Resolves when the process serves; services say so over IPC, brokers are asked on their port. */
  readonly ready: 'ipc' | ((signal: AbortSignal) => Promise<void>);
  readonly stopSignal: NodeJS.Signals;
}

export interface ProcessPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Something an operator wants to read. */
  readonly onChange: (event: { name: string; text: string }) => void;
  /** A process was started; `pid` is a new one. */
  readonly onSpawn: () => void;
}

export type ProcessState = 'stopped' | 'starting' | 'running' | 'failed';

/** At most this many restarts within the window; then the process stays down and says so. */
const RESTARTS_MAX = 10;
const RESTART_WINDOW_MS = 60_000;
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

/**
 * A process that is kept running.
 *
 * 1. It ends for good only by `stop` or `kill`; otherwise it is started again, with back-off, until RESTARTS_MAX.
 * 2. Each start is a new generation; events of an older one are ignored.
 * 3. It runs in its own process group, so that Ctrl-C reaches the supervisor alone, which then stops all in order.
 */
export class ManagedProcess {
  readonly spec: ProcessSpec;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #onChange: (event: { name: string; text: string }) => void;
  readonly #onSpawn: () => void;
  #child: ChildProcess | undefined;
  #wanted = false;
  #state: ProcessState = 'stopped';
  #restarts: number[] = [];
  #info: Readonly<Record<string, unknown>> = {};

  constructor(spec: ProcessSpec, ports: ProcessPorts) {
    this.spec = spec;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#onChange = ports.onChange;
    this.#onSpawn = ports.onSpawn;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** What the service said of itself when it became ready, e.g. its ports. */
  get info(): Readonly<Record<string, unknown>> {
    return this.#info;
  }

  /** @throws Failure UNAVAILABLE / PROCESS_NOT_READY with the log file's name. */
  async start(): Promise<void> {
    this.#wanted = true;
    this.#restarts = [];
    await this.#launch();
  }

  /** Asks it to stop, waits, then kills it. */
  async stop(): Promise<void> {
    this.#wanted = false;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return this.#settle('stopped');
    const exited = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(this.spec.stopSignal);
    const timer = this.#clock.setTimer(STOP_TIMEOUT_MS, () => child.kill('SIGKILL'));
    await exited;
    timer.cancel();
    this.#settle('stopped');
  }

  /** SIGKILL; stays down until `start`. */
  async kill(): Promise<void> {
    this.#wanted = false;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return this.#settle('stopped');
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    this.#settle('stopped');
  }

  /** Sends a signal and lets the supervision do what it does. */
  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  async #launch(): Promise<void> {
    this.#state = 'starting';
    const log = openSync(this.spec.logFile, 'a');
    const child = spawn(this.spec.command, this.spec.args, {
      env: { ...this.spec.environment },
      stdio: this.spec.ready === 'ipc' ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    this.#onSpawn();
    const abort = new AbortController();
    child.once('exit', (code, signal) => {
      abort.abort();
      this.#exited(child, signal ?? `code ${code}`);
    });
    child.once('error', (error) => this.#onChange({ name: this.spec.name, text: error.message }));
    const ready = this.spec.ready === 'ipc' ? this.#ipcReady(child, abort.signal) : this.spec.ready(abort.signal);
    const timer = this.#clock.setTimer(READY_TIMEOUT_MS, () => child.kill('SIGKILL'));
    try {
      await ready;
    } catch (error) {
      throw new Failure('UNAVAILABLE', `${this.spec.name} did not become ready; see ${this.spec.logFile}`, {
        reason: 'PROCESS_NOT_READY',
        cause: error,
      });
    } finally {
      timer.cancel();
    }
    if (this.#child === child) this.#state = 'running';
  }

  #ipcReady(child: ChildProcess, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      child.on('message', (message: unknown) => {
        if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'ready') return;
        this.#info = { ...message };
        resolve();
      });
      signal.addEventListener('abort', () => reject(new Error('it ended before it was ready')), { once: true });
    });
  }

  #exited(child: ChildProcess, how: string): void {
    if (this.#child !== child || !this.#wanted) return;
    const now = this.#clock.monotonicMs();
    this.#restarts = [...this.#restarts.filter((at) => now - at < RESTART_WINDOW_MS), now];
    if (this.#restarts.length > RESTARTS_MAX) {
      this.#settle('failed');
      this.#onChange({
        name: this.spec.name,
        text: `ended (${how}) too often and stays down; see ${this.spec.logFile}`,
      });
      return;
    }
    this.#onChange({ name: this.spec.name, text: `ended (${how}); starting it again` });
    const delayMs = backoffMs(this.#restarts.length - 1, { initialMs: 200, maxMs: 5000 }, this.#random);
    this.#clock.setTimer(delayMs, () => {
      // A failed restart ends in `exit`, which comes back here.
      if (this.#wanted && this.#child === child) this.#launch().catch(() => undefined);
    });
  }

  #settle(state: ProcessState): void {
    this.#state = state;
  }
}
