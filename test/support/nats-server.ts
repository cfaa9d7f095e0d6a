import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '@meridian/local';

export interface NatsServerOptions {
  /** JetStream domain; a region's broker has the region's name. */
  readonly domain?: string;
  /** Appended to the configuration: accounts, TLS, permissions. */
  readonly configuration?: string;
}

/** The most recent part of the broker's log that is kept. */
const LOG_CHARS_MAX = 256 * 1024;
const READY_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 10_000;
const PROVISIONED = path.resolve(import.meta.dirname, '../../.state/deb/nats-server/usr/sbin/nats-server');

/** A real nats-server on 127.0.0.1, with a temporary store that lives until `stop`. Ended by its pid only. */
export class NatsServer {
  readonly url: string;
  readonly port: number;
  readonly directory: string;
  #process: ChildProcess | undefined;
  #log = '';

  private constructor(port: number, directory: string) {
    this.port = port;
    this.url = `nats://127.0.0.1:${port}`;
    this.directory = directory;
  }

  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const directory = await mkdtemp(path.join(tmpdir(), 'meridian-nats-'));
    const server = new NatsServer(await freePort(), directory);
    await writeFile(server.#configurationFile, configuration(server.port, directory, options));
    try {
      await server.launch();
    } catch (thrown) {
      await server.stop();
      throw thrown;
    }
    return server;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get log(): string {
    return this.#log;
  }

  get #configurationFile(): string {
    return path.join(this.directory, 'nats-server.conf');
  }

  /** Starts it (again) with the same port and store. */
  async launch(): Promise<void> {
    const child = spawn(natsServerBinary(), ['-c', this.#configurationFile], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    const keep = (chunk: Buffer): void => {
      this.#log = (this.#log + chunk.toString()).slice(-LOG_CHARS_MAX);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    let problem: Error | undefined;
    child.once('error', (error) => {
      problem = error;
    });
    child.once('exit', (code) => {
      problem ??= new Error(`nats-server ended with ${code}:\n${this.#log}`);
    });
    await untilAnswers(this.port, () => problem);
  }

  /** SIGKILL: the store stays for `launch`. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGSTOP: it keeps its connections and does nothing, until `resume`. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Ends it and removes its store. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    await rm(this.directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }
}

export function natsServerBinary(): string {
  const given = process.env.NATS_SERVER;
  if (given) return given;
  return existsSync(PROVISIONED) ? PROVISIONED : 'nats-server';
}

function configuration(port: number, directory: string, options: NatsServerOptions): string {
  return `
server_name: "test-${port}"
listen: "127.0.0.1:${port}"
max_payload: 8MB
jetstream { store_dir: "${directory}/store", max_file: 4GB${options.domain ? `, domain: ${options.domain}` : ''} }
${options.configuration ?? ''}
`;
}

/** A broker greets every connection with INFO; it accepts connections only when JetStream is ready. */
async function untilAnswers(port: number, problem: () => Error | undefined): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!(await greets(port))) {
    const ended = problem();
    if (ended !== undefined) throw ended;
    if (Date.now() > deadline) throw new Error(`nats-server does not answer on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1');
    const finish = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('data', (chunk) => finish(chunk.toString().startsWith('INFO')));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
  });
}
