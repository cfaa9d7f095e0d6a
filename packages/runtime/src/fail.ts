import { Failure } from '@meridian/failure';

/** Ends a program for people with what went wrong: a stack only where nobody had foreseen it. */
export function fail(error: unknown): never {
  const failure = Failure.from(error);
  const text =
    failure.code === 'INTERNAL' && failure.cause instanceof Error ? String(failure.cause.stack) : failure.message;
  process.stderr.write(`meridian: ${text}\n`);
  process.exit(1);
}
