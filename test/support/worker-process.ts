import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Mutant } from '../simulation/mutants/mutant.ts';
import { compileCache } from './compile-cache.ts';

const MAIN = path.resolve(import.meta.dirname, '../../services/inference-worker/src/main.ts');
const PLANT = path.resolve(import.meta.dirname, 'plant-source.ts');
const LOG_CHARS_MAX = 256 * 1024;

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A real inference worker in its own process. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly ready: Promise<void>;
  readonly exited: Promise<number | null>;
  #log = '';

  /** @param plant a change of its source: what it is like without the part that a test is about */
  constructor(environment: Readonly<Record<string, string>>, plant?: Mutant) {
    this.#child = spawn(process.execPath, [...(plant === undefined ? [] : ['--import', PLANT]), MAIN], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      env: {
        NODE_OPTIONS: '',
        ...environment,
        ...(plant === undefined ? compileCache : { PLANTED: JSON.stringify(plant) }),
      },
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

  /** @throws when there is not exactly one: a signal to nobody would go to the tests themselves. */
  async inferenceProcess(): Promise<number> {
    const [child, ...others] = await this.children();
    if (child === undefined || others.length > 0) throw new Error('the worker has not one inference process');
    return child;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }
}
