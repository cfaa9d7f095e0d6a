import { connect } from 'node:net';
import { Failure } from '@meridian/failure';
import { z } from 'zod';
import { findSystem, type SystemOptions } from './running-system.ts';

const replySchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({ ok: z.literal(false), error: z.string() }),
]);

/** Starting a region, models included, is the slowest command. */
const REPLY_TIMEOUT_MS = 180_000;
const REPLY_CHARS_MAX = 2 ** 20;

/**
 * Asks the local run: one JSON line there, one back.
 * @throws Failure FAILED_PRECONDITION when no local run listens, or with what it answered.
 */
export async function askLocalRun(
  options: SystemOptions,
  command: string,
  commandArguments: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const { control } = await findSystem(options);
  if (control === undefined)
    throw new Failure('FAILED_PRECONDITION', `${command} works on a local run only: leave out --address`);
  const line = await exchange(control, JSON.stringify({ command, arguments: commandArguments }));
  const reply = replySchema.safeParse(line === '' ? undefined : JSON.parse(line));
  if (!reply.success) throw new Failure('UNAVAILABLE', `the local run ended before it answered ${command}`);
  if (!reply.data.ok) throw new Failure('FAILED_PRECONDITION', reply.data.error, { reason: 'REFUSED' });
  return reply.data.result;
}

function exchange(path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${request}\n`));
    let received = '';
    const settle = (end: () => void) => {
      socket.destroy();
      end();
    };
    socket.setTimeout(REPLY_TIMEOUT_MS, () =>
      settle(() =>
        reject(new Failure('DEADLINE_EXCEEDED', `no answer from the local run in ${REPLY_TIMEOUT_MS / 1_000} s`)),
      ),
    );
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
      const end = received.indexOf('\n');
      if (end >= 0 || received.length > REPLY_CHARS_MAX) settle(() => resolve(received.slice(0, Math.max(end, 0))));
    });
    socket.once('end', () => settle(() => resolve('')));
    socket.once('error', (cause) =>
      settle(() =>
        reject(
          new Failure('FAILED_PRECONDITION', 'the local run does not answer: start it with `make run`', {
            reason: 'NOT_RUNNING',
            cause,
          }),
        ),
      ),
    );
  });
}
