import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '@meridian/local';
import { until } from '../support/region-brokers.ts';

const run = promisify(execFile);
const REPOSITORY = resolve(import.meta.dirname, '..', '..');
/** One file is several programs: it looks at the name that it was started by. */
const NAME = 'redis-server';
/** Debian keeps it in the tools' package. The libraries are those that it may be short of. */
const PACKAGES = ['redis-tools', 'libjemalloc2', 'liblzf1', 'liblua5.1-0', 'lua-bitop', 'lua-cjson', 'libatomic1'];

/** How to start a redis-server: its file, and where its libraries are. */
export interface RedisBinary {
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** On PATH, or Debian's, unpacked below the state folder and never installed. @returns why not, if it cannot be had */
export async function findRedis(): Promise<RedisBinary | string> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, NAME);
    if (folder !== '' && (await isExecutable(file))) return { file, environment: {} };
  }
  const state = process.env.MERIDIAN_STATE || join(REPOSITORY, '.state');
  const unpack = join(REPOSITORY, 'tools', 'provision', 'debian-package.sh');
  try {
    for (const name of PACKAGES) await run(unpack, [name, state]);
    const [architecture = ''] = await readdir(join(state, 'deb', 'libjemalloc2', 'usr', 'lib'));
    const libraries = PACKAGES.map((name) => join(state, 'deb', name, 'usr', 'lib', architecture));
    const file = join(state, 'deb', 'redis-tools', 'usr', 'bin', 'redis-check-rdb');
    const environment = { LD_LIBRARY_PATH: libraries.join(delimiter) };
    const [code] = await once(spawn(file, ['--version'], { env: environment, argv0: NAME }), 'exit');
    return code === 0 ? { file, environment } : `Debian's redis-server ends with ${code}`;
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  }
}

/** One redis-server on 127.0.0.1 that keeps nothing on disk. */
export class RedisServer {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #directory: string;

  private constructor(port: number, child: ChildProcess, directory: string) {
    this.port = port;
    this.#process = child;
    this.#directory = directory;
  }

  static async start(binary: RedisBinary, options: readonly string[]): Promise<RedisServer> {
    const port = await freePort();
    const directory = await mkdtemp(join(tmpdir(), 'meridian-redis-'));
    const all = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', '', ...options];
    const child = spawn(binary.file, all, { argv0: NAME, stdio: 'ignore', env: binary.environment });
    const server = new RedisServer(port, child, directory);
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
      return (await RedisClient.connect(port).catch(() => undefined))?.close() ?? 'redis-server does not answer';
    });
    return server;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Pipelined commands on one connection; of the answers only what the benchmark reads: one line or one bulk text. */
export class RedisClient {
  readonly #socket: Socket;
  #text = '';
  #waiting: ((answer: string) => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1').on('data', (chunk: string) => this.#take(chunk));
  }

  static async connect(port: number): Promise<RedisClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RedisClient(socket);
  }

  send(commands: readonly (readonly string[])[]): Promise<string[]> {
    const answers = commands.map(() => new Promise<string>((answer) => this.#waiting.push(answer)));
    const bulk = (word: string) => `$${word.length}\r\n${word}\r\n`;
    this.#socket.write(commands.map((words) => `*${words.length}\r\n${words.map(bulk).join('')}`).join(''), 'latin1');
    return Promise.all(answers);
  }

  /** A number that INFO tells. */
  async info(section: string, field: string): Promise<number> {
    const [text = ''] = await this.send([['INFO', section]]);
    return Number(new RegExp(`${field}:(\\d+)`).exec(text)?.[1] ?? Number.NaN);
  }

  close(): true {
    this.#socket.destroy();
    return true;
  }

  #take(chunk: string): void {
    this.#text += chunk;
    for (let end = this.#text.indexOf('\r\n'); end >= 0; end = this.#text.indexOf('\r\n')) {
      const line = this.#text.slice(0, end);
      const length = line.startsWith('$') ? Number(line.slice(1)) + 2 : 0;
      if (this.#text.length < end + 2 + length) return;
      const answer = length > 0 ? this.#text.slice(end + 2, end + length) : line;
      this.#text = this.#text.slice(end + 2 + length);
      this.#waiting.shift()?.(answer);
    }
  }
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
