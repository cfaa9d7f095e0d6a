import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogMarker } from '../replicator/ports.ts';

/** A file in the service's own folder. */
export class LogMarkerFile implements LogMarker {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, 'state-log-has-records');
  }

  async isSet(): Promise<boolean> {
    return (await stat(this.#path).catch(() => undefined)) !== undefined;
  }

  async set(): Promise<void> {
    await writeFile(this.#path, '', { flush: true });
  }
}
