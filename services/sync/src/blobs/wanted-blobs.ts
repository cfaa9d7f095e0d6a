import { regionOf } from '@meridian/causality';
import { parseManifest } from '@meridian/models';
import { type Entry, type ModelEntry, ModelIndex, parseStateKey, type Version } from '@meridian/replica';
import type { WantedBlob } from './fetch-plan.ts';

interface Part {
  readonly digest: string;
  readonly bytes: number;
}

/**
 * Which weights the models of the shared state name, and where they are likely to be.
 *
 * 1. Every version of a model that nothing supersedes counts: tasks may have been placed with one that lost.
 * 2. Likeliest first: regions that say they can run the model, the region that added it, all others.
 * 3. A model whose manifest cannot be read names nothing.
 */
export class WantedBlobs {
  readonly #members: readonly string[];
  readonly #index = new ModelIndex();
  /** What the index has read of each key: entries that did not change are not read again. */
  readonly #read = new Map<string, readonly Version[]>();
  readonly #partsOf = new Map<string, readonly Part[]>();

  /** @param members all other regions */
  constructor(members: readonly string[]) {
    this.#members = members;
  }

  update(entries: Iterable<Entry>): void {
    for (const entry of entries) {
      const kind = parseStateKey(entry.key)?.kind;
      if ((kind !== 'model' && kind !== 'ready') || this.#read.get(entry.key) === entry.versions) continue;
      this.#read.set(entry.key, entry.versions);
      this.#index.update(entry);
    }
    const live = new Set(this.#index.versions().map(({ digest }) => digest));
    for (const digest of this.#partsOf.keys()) if (!live.has(digest)) this.#partsOf.delete(digest);
  }

  /** Each digest once. */
  blobs(): readonly WantedBlob[] {
    const wanted = new Map<string, { readonly bytes: number; readonly likely: Set<string> }>();
    for (const model of this.#index.versions()) {
      const likely = [...[...this.#index.readyRegions(model.digest)].sort(), regionOf(model.dot.actor)];
      for (const { digest, bytes } of this.#parts(model)) {
        const known = wanted.get(digest) ?? { bytes, likely: new Set() };
        for (const region of likely) known.likely.add(region);
        wanted.set(digest, known);
      }
    }
    return Array.from(wanted, ([digest, { bytes, likely }]) => ({ digest, bytes, sources: this.#sources(likely) }));
  }

  /** Digests that a known model names. */
  named(): ReadonlySet<string> {
    return new Set(this.#index.versions().flatMap((model) => this.#parts(model).map(({ digest }) => digest)));
  }

  /** Digests of a model's weights; none when the model is not known, or cannot be read. */
  partsOf(modelDigest: string): readonly string[] {
    const model = this.#index.modelByDigest(modelDigest);
    return model === undefined ? [] : this.#parts(model).map(({ digest }) => digest);
  }

  /** Regions that are no members (this one, one that has left) cannot be asked. */
  #sources(likely: Iterable<string>): string[] {
    return [...new Set([...likely, ...this.#members])].filter((region) => this.#members.includes(region));
  }

  #parts(model: ModelEntry): readonly Part[] {
    const known = this.#partsOf.get(model.digest);
    if (known !== undefined) return known;
    const parts = readParts(model.manifest);
    this.#partsOf.set(model.digest, parts);
    return parts;
  }
}

function readParts(manifest: unknown): readonly Part[] {
  try {
    return Object.values(parseManifest(manifest).parts).filter((part) => part !== undefined);
  } catch {
    return [];
  }
}
