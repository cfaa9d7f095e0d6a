import { Failure } from '@meridian/failure';
import { refusalOf } from '../tasks/decide.ts';
import type { Ending, Task } from '../tasks/task.ts';
import type { RefusalReason } from '../tasks/transition.ts';

export interface CallsLimits {
  /** Pictures of calls in memory at a time. */
  readonly callsMax: number;
  readonly bytesMax: number;
}

interface Call {
  readonly picture: Uint8Array;
  readonly settle: (answer: { task: Task; ending: Ending }) => void;
}

/** Ended calls that are remembered for workers that announce them late. */
const ENDED_MAX = 4096;
const OVERLOADED_RETRY_MS = 200;

/**
 * Calls that wait for their answer, with their pictures.
 *
 * 1. Admission comes before any work: what is not admitted has cost nothing but its reading.
 * 2. A slot is held from admission until the caller gives it back.
 */
export class Calls {
  readonly #limits: CallsLimits;
  readonly #open = new Map<string, Call>();
  readonly #ended = new Map<string, RefusalReason>();
  readonly #waiting: (() => void)[] = [];
  #admitted = 0;
  #bytes = 0;

  constructor(limits: CallsLimits) {
    this.#limits = limits;
  }

  get admitted(): number {
    return this.#admitted;
  }

  /** @returns gives the slot back. @throws Failure RESOURCE_EXHAUSTED / OVERLOADED with a retry delay. */
  admit(bytes: number): () => void {
    if (!this.#hasRoom(bytes)) {
      const message = `${this.#admitted} pictures are being recognised for this region; try again shortly`;
      throw new Failure('RESOURCE_EXHAUSTED', message, { reason: 'OVERLOADED', retryDelayMs: OVERLOADED_RETRY_MS });
    }
    return this.#take(bytes);
  }

  /** Like {@link admit}, but waits for room: for streams, which stop reading meanwhile. */
  async admitWhenPossible(bytes: number, signal: AbortSignal): Promise<() => void> {
    while (!this.#hasRoom(bytes)) {
      signal.throwIfAborted();
      await this.#room(signal);
    }
    return this.#take(bytes);
  }

  /** Resolves when no call is under way. */
  async idle(): Promise<void> {
    while (this.#admitted > 0) await new Promise<void>((resolve) => void this.#waiting.push(resolve));
  }

  /** The picture of an open call. */
  picture(taskId: string): Uint8Array | undefined {
    return this.#open.get(taskId)?.picture;
  }

  /** Resolves with the task's ending, once `ended` was told. */
  open(taskId: string, picture: Uint8Array): Promise<{ task: Task; ending: Ending }> {
    return new Promise((settle) => {
      this.#open.set(taskId, { picture, settle });
    });
  }

  ended(task: Task, ending: Ending): void {
    this.#open.get(task.taskId)?.settle({ task, ending });
    this.#open.delete(task.taskId);
    this.#ended.set(task.taskId, refusalOf(ending.how));
    if (this.#ended.size <= ENDED_MAX) return;
    for (const oldest of this.#ended.keys()) {
      this.#ended.delete(oldest);
      break;
    }
  }

  endedReason(taskId: string): RefusalReason {
    return this.#ended.get(taskId) ?? 'unknown-task';
  }

  #hasRoom(bytes: number): boolean {
    const { callsMax, bytesMax } = this.#limits;
    return this.#admitted < callsMax && this.#bytes + bytes <= bytesMax;
  }

  #take(bytes: number): () => void {
    this.#admitted++;
    this.#bytes += bytes;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#admitted--;
      this.#bytes -= bytes;
      // All look again: the first in line takes the room, the others go on waiting.
      for (const wake of this.#waiting.splice(0)) wake();
    };
  }

  #room(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        resolve();
      };
      signal.addEventListener('abort', wake, { once: true });
      this.#waiting.push(wake);
    });
  }
}
