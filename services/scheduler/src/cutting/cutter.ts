import { Failure } from '@meridian/failure';
import type { CutOrder, CutPicture } from '@meridian/recognition/picture-cutter';
import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import { headerSize } from '../codec/picture-header.ts';
import { readAnswer } from './cut-answer.ts';
import { type CuttingListener, type CuttingProcess, startCuttingProcess } from './cutting-process.ts';
import { CuttingSpeed } from './cutting-speed.ts';
import type { Message } from './messages.ts';

export interface CutterOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly startProcess?: (listener: CuttingListener) => CuttingProcess;
}

interface Request {
  readonly picture: Uint8Array;
  readonly order: CutOrder;
  readonly settle: (outcome: CutPicture | Failure) => void;
  /** By its header. */
  readonly pixels: number;
  /** When it was asked for. */
  readonly expectedMs: number;
}

/** From its turn, the start of a process included. Above the decoder's own time-out for two decodings. */
const CUT_TIMEOUT_MS = 25_000;
/** A process that has nothing to do for so long ends. */
const IDLE_MS = 30_000;
/** Resident memory from which a process is replaced after its picture. */
const MEMORY_BYTES_MAX = 512 * 2 ** 20;
/** Until measured. A JPEG that is scaled while it is read takes a third of it, a PNG as much. */
const SHRINKING_MS_PER_MEGAPIXEL = 30;
/** Two decodings at full size or nearly, and the encoding of many pieces. */
const TILING_MS_PER_MEGAPIXEL = 100;

/**
 * Has pictures cut in a process of its own, which holds no credentials: what decodes hostile bytes must not be what places
 * tasks and talks to brokers.
 *
 * 1. One picture is in the process at a time: when the process dies or hangs, it is that picture's fault, and no other's.
 * 2. A request settles once. What fails is not tried again here: the picture would do it again.
 * 3. There is a process only while there is work, and IDLE_MS after it.
 * 4. `aheadMs` is the sum of what is expected of the requests that are not settled.
 */
export class Cutter implements Component {
  readonly name = 'cutter';
  readonly #o: CutterOptions;
  readonly #waiting: Request[] = [];
  #current: Request | undefined;
  #process: CuttingProcess | undefined;
  /** Resolves when the process that was started last is gone. */
  #gone: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #stopped = false;
  readonly #shrinking = new CuttingSpeed(SHRINKING_MS_PER_MEGAPIXEL);
  readonly #tiling = new CuttingSpeed(TILING_MS_PER_MEGAPIXEL);
  #aheadMs = 0;
  /** Of the current request; and whether its process was started for it. */
  #beganMs = 0;
  #isFirst = false;

  constructor(options: CutterOptions) {
    this.#o = options;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#end();
    const stopping = new Failure('UNAVAILABLE', 'the scheduler is stopping', { reason: 'STOPPING' });
    for (const request of this.#waiting.splice(0)) this.#over(request, stopping);
    this.#settle(stopping);
    return this.#gone;
  }

  /** What shrinking takes, as measured. */
  get shrinkMsPerMegapixel(): number {
    return this.#shrinking.msPerMegapixel;
  }

  /** What a picture that comes now waits for before it is its turn, the start of a process included. */
  get aheadMs(): number {
    return this.#aheadMs + (this.#process === undefined ? this.#shrinking.startMs : 0);
  }

  /** Until a picture of so many pixels that comes now is shrunk. */
  shrunkInMs(pixels: number): number {
    return this.aheadMs + this.#shrinking.expectedMs(pixels);
  }

  /** 0 when there is none. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /**
   * @throws Failure what the picture's decoder says of it; INTERNAL / PICTURE_CRASHED_CUTTER; DEADLINE_EXCEEDED /
   *   PICTURE_CUT_TIMEOUT; UNAVAILABLE / STOPPING
   */
  async cut(picture: Uint8Array, order: CutOrder): Promise<CutPicture> {
    const outcome = await new Promise<CutPicture | Failure>((settle) => {
      const { width, height } = headerSize(picture) ?? { width: 0, height: 0 };
      const pixels = width * height;
      const expectedMs = this.#speedOf(order).expectedMs(pixels);
      this.#aheadMs += expectedMs;
      this.#waiting.push({ picture, order, settle, pixels, expectedMs });
      this.#next();
    });
    if (outcome instanceof Failure) throw outcome;
    return outcome;
  }

  #next(): void {
    if (this.#current !== undefined || this.#stopped) return;
    this.#timer?.cancel();
    const { clock } = this.#o;
    this.#current = this.#waiting.shift();
    if (this.#current === undefined) {
      this.#timer = clock.setTimer(IDLE_MS, () => this.#end());
      return;
    }
    this.#timer = clock.setTimer(CUT_TIMEOUT_MS, () => this.#fail(timedOut()));
    this.#isFirst = this.#process === undefined;
    this.#beganMs = clock.monotonicMs();
    this.#process ??= this.#begin();
    this.#process.send(this.#current.order, this.#current.picture);
  }

  #begin(): CuttingProcess {
    const start = this.#o.startProcess ?? startCuttingProcess;
    const gone = Promise.withResolvers<void>();
    this.#gone = gone.promise;
    const begun: CuttingProcess = start({
      message: (message) => {
        if (begun === this.#process) this.#answered(message);
      },
      exited: (how) => {
        gone.resolve();
        if (begun === this.#process) this.#fail(crashed(how));
      },
    });
    this.#o.logger.debug({ child: begun.pid }, 'cutting process started');
    return begun;
  }

  #answered(message: Message): void {
    const answer = readAnswer(message);
    if (answer === undefined || this.#current === undefined) this.#fail(crashed('nonsense'));
    else {
      this.#measure(this.#current, answer.outcome);
      if (answer.residentBytes > MEMORY_BYTES_MAX) this.#end();
      this.#settle(answer.outcome);
    }
  }

  /** A picture that fails does so after any part of its work. */
  #measure({ order, pixels }: Request, outcome: CutPicture | Failure): void {
    if (outcome instanceof Failure || pixels === 0) return;
    this.#speedOf(order).took(pixels, this.#o.clock.monotonicMs() - this.#beganMs, this.#isFirst);
  }

  #speedOf({ tilesMax }: CutOrder): CuttingSpeed {
    return tilesMax === 1 ? this.#shrinking : this.#tiling;
  }

  /** The process cannot be used any more. */
  #fail(failure: Failure): void {
    this.#o.logger.warn({ child: this.pid, why: failure.message }, 'ending the cutting process');
    this.#end();
    this.#settle(failure);
  }

  #settle(outcome: CutPicture | Failure): void {
    const request = this.#current;
    this.#current = undefined;
    if (request !== undefined) this.#over(request, outcome);
    this.#next();
  }

  #over(request: Request, outcome: CutPicture | Failure): void {
    this.#aheadMs = Math.max(0, this.#aheadMs - request.expectedMs);
    request.settle(outcome);
  }

  #end(): void {
    this.#timer?.cancel();
    const ended = this.#process;
    this.#process = undefined;
    ended?.kill();
  }
}

function timedOut(): Failure {
  const message = `the picture was not cut within ${CUT_TIMEOUT_MS} ms; save it anew, not progressive or interlaced`;
  return new Failure('DEADLINE_EXCEEDED', message, { reason: 'PICTURE_CUT_TIMEOUT', retryable: false });
}

function crashed(how: string): Failure {
  const message = `the process that cut the picture ended (${how})`;
  return new Failure('INTERNAL', message, { reason: 'PICTURE_CRASHED_CUTTER', retryable: false });
}
