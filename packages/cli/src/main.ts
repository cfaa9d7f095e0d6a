import { join, resolve } from 'node:path';
import { systemClock, systemRandom } from '@meridian/runtime';
import { exitCodeOf, reportError } from './exit.ts';
import { createProgram } from './program.ts';

const repository = resolve(import.meta.dirname, '..', '..', '..');
const interrupt = new AbortController();
process.on('SIGINT', () => {
  if (interrupt.signal.aborted) process.exit(130);
  interrupt.abort();
});
// `meridian … | head` closes our output: that is an end, not an error.
process.stdout.on('error', () => process.exit(0));

const terminal = { input: process.stdin, out: process.stdout, err: process.stderr, interactive: process.stderr.isTTY };
const context = { terminal, clock: systemClock, random: systemRandom, signal: interrupt.signal };
const program = createProgram(context, process.env.MERIDIAN_STATE || join(repository, '.state'));
try {
  await program.parseAsync();
} catch (error) {
  const debug = Boolean(process.env.MERIDIAN_DEBUG);
  // After Ctrl-C there is nothing to say that the user does not know.
  if (!interrupt.signal.aborted || debug)
    reportError(error, terminal, { debug, json: program.opts<{ json?: boolean }>().json === true });
  process.exitCode = interrupt.signal.aborted ? 130 : exitCodeOf(error);
}
