import { inspect } from 'node:util';
import { Failure } from '@meridian/failure';
import { CommanderError } from 'commander';
import { note, type Terminal } from './terminal.ts';

/** 0 for help, 2 for wrong usage, 1 for everything else that went wrong. */
export function exitCodeOf(error: unknown): 0 | 1 | 2 {
  if (!(error instanceof CommanderError)) return 1;
  return error.exitCode === 0 ? 0 : 2;
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
  if (failure === error || !(failure.cause instanceof Error)) return failure;
  const { code, reason, retryable } = failure;
  return { code, reason, retryable, message: `${failure.cause.message} (MERIDIAN_DEBUG=1 shows where)` };
}
