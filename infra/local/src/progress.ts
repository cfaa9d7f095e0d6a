import type { Clock } from '@meridian/runtime';

/** Prints what is going on, so that nothing that takes longer than a second is silent. */
export class Progress {
  readonly #write: (line: string) => void;
  readonly #clock: Clock;
  readonly #startedMs: number;

  constructor(write: (line: string) => void, clock: Clock) {
    this.#write = write;
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  say(text: string): void {
    this.#write(`[${seconds(this.#clock.monotonicMs() - this.#startedMs).padStart(6)}] ${text}`);
  }

  /** Runs a step; says that it is under way when it takes longer than half a second, and that it is done. */
  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    let announced = false;
    const timer = this.#clock.setTimer(500, () => {
      announced = true;
      this.say(`${name} …`);
    });
    try {
      const result = await work();
      if (announced) this.say(`${name}: done in ${seconds(this.#clock.monotonicMs() - startedMs)}`);
      return result;
    } finally {
      timer.cancel();
    }
  }
}

export function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
