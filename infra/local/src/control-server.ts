import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { Failure } from '@meridian/failure';

export type ControlCommand = (commandArguments: Readonly<Record<string, unknown>>) => Promise<unknown>;

const LINE_BYTES_MAX = 64 * 1024;

/**
 * The local run's control door: one JSON line in, one out, on a Unix socket that only its owner can open.
 * Requests of one connection are answered in order.
 */
export class ControlServer {
  readonly #path: string;
  readonly #commands: Readonly<Record<string, ControlCommand>>;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();

  constructor(path: string, commands: Readonly<Record<string, ControlCommand>>) {
    this.#path = path;
    this.#commands = commands;
  }

  async start(): Promise<void> {
    await rm(this.#path, { force: true });
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#path, resolve);
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
    await rm(this.#path, { force: true });
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setEncoding('utf8');
    let buffered = '';
    let turn = Promise.resolve();
    socket.on('data', (chunk: string) => {
      buffered += chunk;
      if (buffered.length > LINE_BYTES_MAX) socket.destroy();
      const lines = buffered.split('\n');
      buffered = lines.pop() ?? '';
      for (const line of lines)
        turn = turn.then(async () => void socket.write(`${JSON.stringify(await this.#answer(line))}\n`));
    });
  }

  async #answer(line: string): Promise<unknown> {
    try {
      const request: unknown = JSON.parse(line);
      const { command, arguments: given } = requestOf(request);
      const run = this.#commands[command];
      if (run === undefined)
        throw new Failure('NOT_FOUND', `no command ${command}; there are ${Object.keys(this.#commands).join(', ')}`);
      return { ok: true, result: (await run(given)) ?? null };
    } catch (error) {
      return { ok: false, error: error instanceof SyntaxError ? 'not a JSON line' : Failure.from(error).message };
    }
  }
}

function requestOf(request: unknown): { command: string; arguments: Readonly<Record<string, unknown>> } {
  if (typeof request === 'object' && request !== null && 'command' in request && typeof request.command === 'string') {
    const given = 'arguments' in request ? request.arguments : {};
    if (typeof given === 'object' && given !== null) return { command: request.command, arguments: { ...given } };
  }
  throw new Failure('INVALID_ARGUMENT', 'expected {"command": "…", "arguments": {…}}');
}
