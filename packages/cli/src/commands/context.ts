import type { Clock, Random } from '@meridian/runtime';
import { type Command, InvalidArgumentError } from 'commander';
import type { SystemOptions } from '../running-system.ts';
import type { Terminal } from '../terminal.ts';

/** What every command gets from the process. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Options of the program, known to every command. */
export interface GlobalOptions extends SystemOptions {
  readonly json?: boolean;
}

/** Options of a command together with the program's. */
export function optionsOf<T extends object>(command: Command): T & GlobalOptions {
  return command.optsWithGlobals<T & GlobalOptions>();
}

/** For commander: a whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
  };
}
