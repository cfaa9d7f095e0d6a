import { inspect } from 'node:util';
import { Failure } from '@meridian/failure';
import { CommanderError } from 'commander';
import { note, type Terminal } from './terminal.ts';

/** 0 for help, 2 for wrong usage, 1 for everything else that went wrong. */
export function exitCodeOf(error: unknown): 0 | 1 | 2 {
  if (!(error instanceof CommanderError)) return 1;
  return error.exitCode === 0 ? 0 : 2;
}

/** The command did its work, but not every picture has a recognition. */
export function someFailed(failed: number, all: number): Failure {
  return new Failure('INTERNAL', `${failed} of ${all} pictures have no recognition; see above`, {
    reason: 'SOME_FAILED',
  });
}

/** One line: what went wrong and what to do. The stack only when asked: it helps developers, not users. */
export function reportError(error: unknown, terminal: Terminal, options: { debug: boolean; json: boolean }): void {
  // commander has printed its own.
  if (error instanceof CommanderError) return;
  const { code, reason, message, retryable } = describe(error);
  if (options.json) note(terminal, JSON.stringify({ error: { code, reason, message, retryable } }));
  else note(terminal, `meridian: ${message.replaceAll(/\s*\n\s*/g, ' ')}`);
  if (options.debug) note(terminal, inspect(error, { depth: 5 }));
}

/** An unknown error's own message is shown: here nobody but the user reads it. */
function describe(error: unknown): Pick<Failure, 'code' | 'reason' | 'message' | 'retryable'> {
  const failure = Failure.from(error);
  // A region's own failure comes without a cause; a local error may have become a Failure on the way here.
  const { cause } = failure;
  if (failure.code !== 'INTERNAL' || !(cause instanceof Error) || cause instanceof Failure) return failure;
  const { code, reason, retryable } = failure;
  return { code, reason, retryable, message: `${cause.message} (MERIDIAN_DEBUG=1 shows where)` };
}
