import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, type Manifest, modelDigest, parseManifest } from '@meridian/models';
import type { Logger } from '@meridian/runtime';

/** As many as a worker serves in one life; each has at most the 96 KiB of a record's value. */
export const MANIFESTS_MAX = 256;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Manifests of the models that this worker has served, on disk by the model's digest: the shared state forgets a version
 * once a newer one has its name, and claims may name it for as long as the jobs that were accepted with it run.
 *
 * 1. A manifest is given out only if its digest is the one asked for.
 * 2. At most {@link MANIFESTS_MAX} are kept; the one written longest ago makes room.
 */
export class KeptManifests {
  readonly #directory: string;
  readonly #logger: Logger;

  constructor(directory: string, logger: Logger) {
    this.#directory = directory;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
  }

  /** Never rejects: what is not kept costs a later claim, not this one. */
  async keep(digest: string, manifest: Manifest): Promise<void> {
    try {
      const path = this.#pathOf(digest);
      const part = `${path}.${randomUUID()}.part`;
      await writeFile(part, canonicalJson(manifest));
      await rename(part, path);
      await this.#trim();
    } catch (thrown) {
      this.#logger.warn({ err: thrown, digest }, 'the manifest of a model could not be kept');
    }
  }

  /** @returns undefined when it is not here, or is damaged */
  async find(digest: string): Promise<Manifest | undefined> {
    if (!DIGEST.test(digest)) return undefined;
    try {
      const manifest = parseManifest(JSON.parse(await readFile(this.#pathOf(digest), 'utf8')));
      return modelDigest(manifest) === digest ? manifest : undefined;
    } catch {
      return undefined;
    }
  }

  async #trim(): Promise<void> {
    const names = await readdir(this.#directory);
    if (names.length <= MANIFESTS_MAX) return;
    const paths = names.map((name) => join(this.#directory, name));
    const files = await Promise.all(paths.map(async (path) => ({ path, writtenMs: (await stat(path)).mtimeMs })));
    files.sort((a, b) => a.writtenMs - b.writtenMs);
    for (const { path } of files.slice(0, files.length - MANIFESTS_MAX)) await rm(path, { force: true });
  }

  #pathOf(digest: string): string {
    return join(this.#directory, digest.slice('sha256:'.length));
  }
}
