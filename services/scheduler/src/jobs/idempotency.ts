import { Failure } from '@meridian/failure';

interface Remembered<T> {
  readonly fingerprint: string;
  readonly answer: Promise<T>;
  readonly sinceMs: number;
}

/**
 * Answers of calls by idempotency key, so that a repeated call gets the first one's answer and no second run.
 *
 * 1. Bounded: at most `keysMax`, the least recently begun is forgotten first; none longer than `keepMs`.
 * 2. A call that fails retryably is forgotten: the caller is meant to try again.
 * 3. The same key with other content is refused, never answered with the other content's result.
 */
export class IdempotencyTable<T> {
  readonly #keysMax: number;
  readonly #keepMs: number;
  readonly #answers = new Map<string, Remembered<T>>();

  constructor(options: { readonly keysMax: number; readonly keepMs: number }) {
    this.#keysMax = options.keysMax;
    this.#keepMs = options.keepMs;
  }

  get size(): number {
    return this.#answers.size;
  }

  /** @throws Failure ALREADY_EXISTS / IDEMPOTENCY_KEY_REUSED. Not retryable. */
  once(key: string, fingerprint: string, nowMs: number, run: () => Promise<T>): Promise<T> {
    this.#forget(nowMs);
    const known = this.#answers.get(key);
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint) throw keyReused();
      return known.answer;
    }
    const answer = run();
    this.#answers.set(key, { fingerprint, answer, sinceMs: nowMs });
    answer.catch((error: unknown) => {
      const { retryable, code } = Failure.from(error);
      const again = retryable || code === 'CANCELLED' || code === 'DEADLINE_EXCEEDED';
      if (again && this.#answers.get(key)?.answer === answer) this.#answers.delete(key);
    });
    return answer;
  }

  #forget(nowMs: number): void {
    for (const [key, { sinceMs }] of this.#answers) {
      if (this.#answers.size < this.#keysMax && nowMs - sinceMs < this.#keepMs) break;
      this.#answers.delete(key);
    }
  }
}

export function keyReused(): Failure {
  return new Failure('ALREADY_EXISTS', 'this idempotency key was used for other content; take a new key', {
    reason: 'IDEMPOTENCY_KEY_REUSED',
  });
}
