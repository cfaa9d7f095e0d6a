import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';

const announcedSchema = z.record(z.string(), z.string());

/** The open conflicts that were announced: dots by key, in one file. A lost file is an empty one: all are announced again. */
export class AnnouncedFile {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();

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

  /** Whole or not at all, and in order. @throws Error of the file system. */
  write(announced: ReadonlyMap<string, string>): Promise<void> {
    const text = JSON.stringify(Object.fromEntries(announced), null, 2);
    const written = this.#writing.then(async () => {
      await writeFile(`${this.#path}.new`, text);
      await rename(`${this.#path}.new`, this.#path);
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** Resolves when nothing is being written. */
  settled(): Promise<void> {
    return this.#writing;
  }
}
