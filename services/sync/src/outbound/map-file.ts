import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';

const schema = z.record(z.string(), z.string());

/**
 * Texts by name, in one file of the service's own folder. A file that is lost or cannot be read is an empty one.
 *
 * 1. The file is whole at any moment. One write is under way at a time; what changes meanwhile is in the next one, once.
 */
export class MapFile {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();
  #next: { readonly map: ReadonlyMap<string, string>; readonly written: Promise<void> } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async read(): Promise<Map<string, string>> {
    try {
      return new Map(Object.entries(schema.parse(JSON.parse(await readFile(this.#path, 'utf8')))));
    } catch {
      return new Map();
    }
  }

  /** As the map is when its turn comes. @throws Error of the file system. */
  write(map: ReadonlyMap<string, string>): Promise<void> {
    if (this.#next?.map === map) return this.#next.written;
    const written = this.#writing.then(() => this.#write(map));
    this.#next = { map, written };
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** Resolves when nothing is being written. */
  settled(): Promise<void> {
    return this.#writing;
  }

  async #write(map: ReadonlyMap<string, string>): Promise<void> {
    if (this.#next?.map === map) this.#next = undefined;
    await writeFile(`${this.#path}.new`, JSON.stringify(Object.fromEntries(map), null, 2));
    await rename(`${this.#path}.new`, this.#path);
  }
}
