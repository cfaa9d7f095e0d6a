import { CODES, type Code } from './code.ts';

export interface FailureOptions {
  /** Overrides the code's default, e.g. an INTERNAL failure of one worker may succeed on another. */
  readonly retryable?: boolean;
  /** Stable machine-readable reason within the code, e.g. `PICTURE_TRUNCATED`. Upper snake case. */
  readonly reason?: string;
  /** How long the caller should wait before trying again. */
  readonly retryDelayMs?: number;
  /** Ids and limits that help the caller: never secrets or paths, nor addresses but those of public doors. */
  readonly details?: Readonly<Record<string, string>>;
  /** Kept for the local log, never sent. */
  readonly cause?: unknown;
}

/**
 * A failure that may travel between services. The message is for the caller and says what to do;
 * the cause stays in the process. Turned into a gRPC status or a NATS disposition at the edge only.
 */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: Code;
  readonly retryable: boolean;
  readonly reason: string;
  readonly retryDelayMs: number | undefined;
  readonly details: Readonly<Record<string, string>>;

  constructor(code: Code, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? CODES[code].retryable;
    this.reason = options.reason ?? code;
    this.retryDelayMs = options.retryDelayMs;
    this.details = options.details ?? {};
  }

  /** Any thrown value as a Failure; an unknown one becomes INTERNAL with a message that leaks nothing. */
  static from(thrown: unknown): Failure {
    if (thrown instanceof Failure) return thrown;
    return new Failure('INTERNAL', 'an internal error occurred; the operator finds it in the log by its trace id', {
      cause: thrown,
    });
  }
}

/** Stops the process on a broken invariant: a programmer's error is not an operating error. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${invariant}`);
}
