import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';

const announcedSchema = z.record(z.string(), z.string());

/**
 * The open conflicts that were announced: dots by key, in one file. A lost file is an empty one: all are announced again.
 *
 * 1. One write is under way at a time; what changes meanwhile is in the next one, once.
 */
export class AnnouncedFile {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();
  #next: { readonly announced: ReadonlyMap<string, string>; readonly written: Promise<void> } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async read(): Promise<ReadonlyMap<string, string>> {
    try {
      return new Map(Object.entries(announcedSchema.parse(JSON.parse(await readFile(this.#path, 'utf8')))));
    } catch {
      return new Map();
    }
  }

  /** Whole or not at all, as the map is when its turn comes. @throws Error of the file system. */
  write(announced: ReadonlyMap<string, string>): Promise<void> {
    if (this.#next?.announced === announced) return this.#next.written;
    const written = this.#writing.then(() => this.#write(announced));
    this.#next = { announced, written };
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #write(announced: ReadonlyMap<string, string>): Promise<void> {
    this.#next = undefined;
    await writeFile(`${this.#path}.new`, JSON.stringify(Object.fromEntries(announced), null, 2));
    await rename(`${this.#path}.new`, this.#path);
  }

  /** Resolves when nothing is being written. */
  settled(): Promise<void> {
    return this.#writing;
  }
}
