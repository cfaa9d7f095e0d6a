import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogMarker } from '../replicator/ports.ts';

/** A file in the service's own folder. */
export class LogMarkerFile implements LogMarker {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, 'state-log-has-records');
  }

  async get(): Promise<string | undefined> {
    return await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
  }

  /** Whole or not at all. */
  async set(identity: string): Promise<void> {
    await writeFile(`${this.#path}.new`, identity, { flush: true });
    await rename(`${this.#path}.new`, this.#path);
  }
}
