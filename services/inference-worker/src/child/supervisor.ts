import { Failure } from '@meridian/failure';
import { backoffMs, type Clock, type Logger, type Random, type Timer } from '@meridian/runtime';
import type { Outcome } from '../claims/held-claim.ts';
import { LoadedModels, type PreparedModel } from './loaded-models.ts';
import { type FailureNotice, FRAME_KINDS, type Frame, readRecognized } from './protocol.ts';
import { type Child, type ChildListener, spawnChild } from './spawn-child.ts';
import { type ChildEnd, verdict } from './verdict.ts';

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: ChildLimits;
  /** Called when `free` may have grown. */
  readonly onFree: () => void;
  readonly spawn?: (listener: ChildListener) => Child;
}

export interface ChildLimits {
  /** Pictures in the child: one in the model, the others decoding or decoded. */
  readonly inFlightMax: number;
  /** Resident memory from which a child is replaced once it has nothing to do. */
  readonly memoryBytesMax: number;
  readonly modelsLoadedMax: number;
}

interface Task {
  readonly model: PreparedModel;
  readonly picture: Uint8Array;
  readonly settle: (outcome: Outcome) => void;
  runs: number;
}

type Phase = 'stopped' | 'starting' | 'ready' | 'ending' | 'waiting';

const START_TIMEOUT_MS = 20_000;
const LOAD_TIMEOUT_MS = 120_000;
const TICK_MS = 250;
const PING_EVERY_MS = 500;
/**
 * A process that does not answer for this long does not run. Its answering thread waits for nothing but the processor, which
 * loading a model keeps busy.
 */
const SILENCE_MS = 2_000;
const LOADING_SILENCE_MS = 10_000;
const RESTART = { initialMs: 50, maxMs: 5_000 };
/** A life longer than this ends a row of failures. */
const STEADY_MS = 30_000;
/** Beyond this multiple of its memory limit a child is ended with what it has. */
const MEMORY_HARD_FACTOR = 1.5;

/**
 * Keeps one inference process alive and gives it pictures.
 *
 * 1. A picture that was taken settles exactly once, whatever happens to how many processes; outcomes never reject.
 * 2. The process is ended by pid and SIGKILL: when a picture exceeds its model's time, when it does not answer pings,
 *    when it takes too much memory or sends nonsense. It is started again after a back-off.
 * 3. Pictures that were in a process that ended are judged by {@link verdict}; while there are suspects, one picture at
 *    a time is in the process.
 * 4. Events of a process that was ended are not listened to, except its exit.
 */
export class Supervisor {
  readonly #o: SupervisorOptions;
  readonly #models: LoadedModels;
  /** Sent, oldest first. */
  readonly #inFlight = new Map<number, Task>();
  /** To be sent again before anything new. */
  #again: Task[] = [];
  #suspects: ReadonlySet<Task> = new Set();
  #phase: Phase = 'stopped';
  #child: Child | undefined;
  #end: ChildEnd = 'crashed';
  #exited: PromiseWithResolvers<void> | undefined;
  #ticker: Timer | undefined;
  #runs = 0;
  #failures = 0;
  #bornMs = 0;
  #heardMs = 0;
  #pingedMs = 0;
  #tickedMs = 0;
  #oldestSinceMs = 0;
  #residentBytes = 0;
  #settledInLife = 0;

  constructor(options: SupervisorOptions) {
    this.#o = options;
    this.#models = new LoadedModels(options.limits.modelsLoadedMax, (frame) => this.#child?.send(frame));
  }

  start(): void {
    if (this.#phase === 'stopped') this.#spawn();
  }

  /** Ends the process; pictures that it still had fail. */
  async stop(): Promise<void> {
    const exited = this.#exited?.promise;
    this.#phase = 'stopped';
    this.#ticker?.cancel();
    this.#child?.kill();
    await exited;
    this.#models.close();
    for (const task of [...this.#inFlight.values(), ...this.#again]) task.settle(stopped());
    this.#inFlight.clear();
    this.#again = [];
  }

  /** 0 when there is none. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Pictures that can be taken now. */
  get free(): number {
    if (this.#phase !== 'ready' || this.#again.length > 0 || this.#suspects.size > 0 || this.#tooLarge) return 0;
    return Math.max(0, this.#o.limits.inFlightMax - this.#inFlight.size);
  }

  /** Resolves when the process has the model in memory, now or in a later life. @throws Failure why it does not load. */
  load(model: PreparedModel): Promise<void> {
    return this.#models.want(model, this.#phase === 'ready');
  }

  /** What was sent for it is finished first. */
  forget(model: PreparedModel): void {
    this.#models.forget(model.number);
  }

  run(model: PreparedModel, picture: Uint8Array): Promise<Outcome> {
    return new Promise((settle) => {
      const task = { model, picture, settle, runs: 0 };
      if (this.#phase === 'stopped') settle(stopped());
      else if (this.free > 0) this.#send(task);
      else this.#again.push(task);
    });
  }

  /** Before its first picture a process is as small as one can be: replacing it would not help. */
  get #tooLarge(): boolean {
    return this.#settledInLife > 0 && this.#residentBytes > this.#o.limits.memoryBytesMax;
  }

  #spawn(): void {
    const { clock, logger } = this.#o;
    this.#phase = 'starting';
    this.#end = 'crashed';
    this.#bornMs = clock.monotonicMs();
    this.#residentBytes = 0;
    this.#settledInLife = 0;
    const exited = Promise.withResolvers<void>();
    this.#exited = exited;
    const child: Child = (this.#o.spawn ?? spawnChild)({
      frame: (frame) => this.#received(child, frame),
      pong: (_, residentBytes) => this.#ponged(child, residentBytes),
      exited: (how) => {
        this.#over(how);
        exited.resolve();
      },
    });
    this.#child = child;
    logger.debug({ child: child.pid }, 'inference process started');
    this.#tickLater();
  }

  #send(task: Task): void {
    this.#models.use(task.model);
    task.runs += 1;
    this.#runs = (this.#runs + 1) % 2 ** 32;
    if (this.#inFlight.size === 0) this.#oldestSinceMs = this.#o.clock.monotonicMs();
    this.#inFlight.set(this.#runs, task);
    this.#child?.sendRun(this.#runs, task.model.number, task.picture);
  }

  #received(child: Child, frame: Frame): void {
    if (child !== this.#child || this.#phase === 'ending' || this.#phase === 'stopped') return;
    switch (frame.kind) {
      case FRAME_KINDS.hello:
        this.#phase = 'ready';
        this.#heardMs = this.#o.clock.monotonicMs();
        this.#models.bornAgain();
        this.#resume();
        break;
      case FRAME_KINDS.loaded:
        this.#models.loaded(frame.id, this.#o.clock.monotonicMs());
        break;
      case FRAME_KINDS.notLoaded:
        this.#models.failed(frame.id, failureOf(frame));
        break;
      case FRAME_KINDS.failed:
        this.#settle(frame.id, { kind: 'failure', failure: JSON.parse(frame.payload.toString()) as FailureNotice });
        break;
      case FRAME_KINDS.recognized:
        this.#settle(frame.id, { kind: 'recognition', ...readRecognized(frame.payload) });
        break;
      default:
        this.#kill('crashed', `unknown frame kind ${frame.kind}`);
    }
  }

  #settle(run: number, outcome: Outcome): void {
    const task = this.#inFlight.get(run);
    if (task === undefined) return;
    this.#inFlight.delete(run);
    this.#settledInLife += 1;
    this.#oldestSinceMs = this.#o.clock.monotonicMs();
    if (this.#suspects.has(task)) this.#suspects = new Set([...this.#suspects].filter((other) => other !== task));
    task.settle(outcome);
    if (this.#again.length > 0) this.#resume();
    else if (this.#tooLarge && this.#inFlight.size === 0) this.#kill('recycled', 'memory');
    else this.#o.onFree();
  }

  /** Sends what waits to be sent again, suspects one at a time, then says that there is room. */
  #resume(): void {
    while (this.#again.length > 0 && this.#inFlight.size < (this.#suspects.size > 0 ? 1 : this.#o.limits.inFlightMax)) {
      const task = this.#again.shift();
      if (task !== undefined) this.#send(task);
    }
    if (this.free > 0) this.#o.onFree();
  }

  #ponged(child: Child, residentBytes: number): void {
    if (child !== this.#child) return;
    this.#heardMs = this.#o.clock.monotonicMs();
    this.#residentBytes = residentBytes;
    if (!this.#tooLarge || this.#phase !== 'ready') return;
    if (this.#inFlight.size === 0) this.#kill('recycled', 'memory');
    else if (residentBytes > this.#o.limits.memoryBytesMax * MEMORY_HARD_FACTOR) this.#kill('crashed', 'memory');
  }

  #tickLater(): void {
    this.#tickedMs = this.#o.clock.monotonicMs();
    this.#ticker = this.#o.clock.setTimer(TICK_MS, () => {
      this.#tick();
      if (this.#phase === 'starting' || this.#phase === 'ready') this.#tickLater();
    });
  }

  #tick(): void {
    const nowMs = this.#o.clock.monotonicMs();
    // While this process did not run it heard nobody: that says nothing of the other one.
    this.#heardMs += Math.max(0, nowMs - this.#tickedMs - TICK_MS);
    const overdue = this.#overdue(nowMs);
    if (overdue !== undefined) this.#kill(...overdue);
    else if (this.#phase === 'ready' && nowMs - this.#pingedMs >= PING_EVERY_MS) {
      this.#pingedMs = nowMs;
      this.#child?.ping(0);
    }
  }

  /** Why the process must be ended now, if it must. */
  #overdue(nowMs: number): [ChildEnd, string] | undefined {
    if (this.#phase === 'starting')
      return nowMs - this.#bornMs > START_TIMEOUT_MS ? ['crashed', 'did not start'] : undefined;
    const [oldest] = this.#inFlight.values();
    // A picture's time begins when it is the oldest and its model is in memory.
    const loadedMs = oldest === undefined ? undefined : this.#models.loadedAtMs(oldest.model);
    if (oldest !== undefined && loadedMs !== undefined) {
      const workedMs = nowMs - Math.max(loadedMs, this.#oldestSinceMs);
      if (workedMs > oldest.model.timeoutMs) return ['hung', `${oldest.model.name}: ${Math.round(workedMs)} ms`];
    }
    if (this.#models.loadingForMs(nowMs) > LOAD_TIMEOUT_MS) return ['crashed', 'a model did not load'];
    const silenceMaxMs = this.#models.loadingForMs(nowMs) > 0 ? LOADING_SILENCE_MS : SILENCE_MS;
    return nowMs - this.#heardMs > silenceMaxMs ? ['silent', 'no answer to pings'] : undefined;
  }

  #kill(end: ChildEnd, why: string): void {
    if (this.#phase !== 'starting' && this.#phase !== 'ready') return;
    const log = { child: this.pid, end, why, pictures: this.#inFlight.size, residentBytes: this.#residentBytes };
    this.#o.logger[end === 'recycled' ? 'info' : 'warn'](log, 'ending the inference process');
    this.#end = end;
    this.#phase = 'ending';
    this.#child?.kill();
  }

  #over(how: string): void {
    const inFlight = [...this.#inFlight.values()];
    const wasStopped = this.#phase === 'stopped';
    this.#ticker?.cancel();
    this.#child = undefined;
    if (wasStopped) return;
    this.#inFlight.clear();
    this.#models.gone(new Failure('UNAVAILABLE', `the inference process ended (${how}) while it loaded the model`));
    if (this.#phase !== 'ending')
      this.#o.logger.warn({ how, pictures: inFlight.length }, 'the inference process ended');
    const lifeMs = this.#o.clock.monotonicMs() - this.#bornMs;
    this.#failures = lifeMs > STEADY_MS ? 0 : this.#failures + 1;
    this.#phase = 'waiting';
    const { guilty, again, suspects } = verdict(this.#end, inFlight);
    this.#suspects = new Set([...this.#suspects, ...suspects].filter((task) => !guilty.some((g) => g.task === task)));
    this.#again = [...again, ...this.#again];
    for (const { task, failure } of guilty) task.settle({ kind: 'failure', failure });
    const delayMs = this.#failures === 0 ? 0 : backoffMs(this.#failures - 1, RESTART, this.#o.random);
    this.#o.clock.setTimer(delayMs, () => {
      if (this.#phase === 'waiting') this.#spawn();
    });
  }
}

function failureOf(frame: Frame): Failure {
  const { code, reason, message, retryable } = JSON.parse(frame.payload.toString()) as FailureNotice;
  return new Failure(code, message, { reason, retryable });
}

function stopped(): Outcome {
  return {
    kind: 'failure',
    failure: { code: 'UNAVAILABLE', reason: 'WORKER_STOPPED', message: 'the worker is stopping', retryable: true },
  };
}
