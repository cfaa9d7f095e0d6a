import { blobsOf, type Manifest } from '@meridian/models';
import { currentValue, parseStateKey } from '@meridian/replica';
import type { Component, Logger } from '@meridian/runtime';
import type { BlobStore } from '../blobs/blob-store.ts';
import type { MapFile } from '../outbound/map-file.ts';
import type { Replicator } from '../replicator/replicator.ts';
import { readCatalogue } from './catalogue-directory.ts';
import { modelValue } from './model-record.ts';
import { seedsOf } from './seeds.ts';

export interface SeederOptions {
  /** Undefined: there is nothing to offer. */
  readonly directory: string | undefined;
  /** Digests of the models that this region offered to the shared state last, by name. */
  readonly offered: MapFile;
  readonly blobs: BlobStore;
  readonly replicator: Pick<Replicator, 'write' | 'entries'>;
  /** Throws when the shared state needs another version under that name. */
  readonly admit: (manifest: Manifest) => void;
  readonly logger: Logger;
}

/** A start must not hang on a log that takes nothing; what was not written is offered at the next start. */
const WRITE_TIMEOUT_MS = 10_000;

/** Offers the installed catalogue to the shared state, once at the start. An unchanged catalogue writes nothing. */
export class CatalogueSeeder implements Component {
  readonly name = 'catalogue';
  readonly #options: SeederOptions;

  constructor(options: SeederOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { directory, offered, replicator, logger } = this.#options;
    if (directory === undefined) return;
    const present: Manifest[] = [];
    for (const manifest of await readCatalogue(directory, logger))
      if (this.#isAdmitted(manifest) && (await this.#hasWeights(manifest))) present.push(manifest);
    const models = present.map(modelValue);
    const before = await offered.read();
    const after = new Map(before);
    await Promise.all(
      seedsOf(models, before, this.#stateHasModels()).map(async ({ model, change }) => {
        try {
          const { changed } = await replicator.write(change, { timeoutMs: WRITE_TIMEOUT_MS });
          after.set(model.name, model.digest);
          if (changed) logger.info({ model: model.name, digest: model.digest }, 'model of the catalogue added');
        } catch (error) {
          logger.error({ err: error, model: model.name }, 'a model of the catalogue could not be added');
        }
      }),
    );
    if (models.some(({ name, digest }) => before.get(name) !== digest)) await offered.write(after);
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  #stateHasModels(): boolean {
    for (const entry of this.#options.replicator.entries())
      if (parseStateKey(entry.key)?.kind === 'model' && currentValue(entry) !== undefined) return true;
    return false;
  }

  /** What is left out is offered again at the next start. */
  #isAdmitted(manifest: Manifest): boolean {
    try {
      this.#options.admit(manifest);
      return true;
    } catch (error) {
      this.#options.logger.error({ err: error, model: manifest.name }, 'a model of the catalogue is not offered');
      return false;
    }
  }

  async #hasWeights(manifest: Manifest): Promise<boolean> {
    for (const { digest, bytes } of blobsOf(manifest)) {
      if ((await this.#options.blobs.bytesOf(digest)) === bytes) continue;
      this.#options.logger.error({ model: manifest.name, digest }, 'weights of the catalogue are missing');
      return false;
    }
    return true;
  }
}
