import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const MAIN = path.resolve(import.meta.dirname, '../../services/inference-worker/src/main.ts');
const LOG_CHARS_MAX = 256 * 1024;

/** A real inference worker in its own process. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly ready: Promise<void>;
  readonly exited: Promise<number | null>;
  #log = '';

  constructor(environment: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [...(process.env.WF ?? '').split(' ').filter(Boolean), MAIN], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      env: { NODE_OPTIONS: '', ...environment },
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-LOG_CHARS_MAX);
    });
    this.exited = new Promise((resolve) => this.#child.once('exit', resolve));
    const ended = this.exited.then((code) => {
      throw new Error(`the worker ended with ${code}:\n${this.#log}`);
    });
    this.ready = Promise.race([new Promise<void>((resolve) => this.#child.once('message', () => resolve())), ended]);
    ended.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get log(): string {
    return this.#log;
  }

  /** Processes that it started and that run. */
  async children(): Promise<number[]> {
    const text = await readFile(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }
}
