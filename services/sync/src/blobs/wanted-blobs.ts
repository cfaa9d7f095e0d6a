import { regionOf } from '@meridian/causality';
import { blobsOf, type ManifestBlob, parseManifest } from '@meridian/models';
import { type Entry, type ModelEntry, ModelIndex, parseStateKey, type Version } from '@meridian/replica';
import type { Members } from '../replicator/members.ts';
import type { WantedBlob } from './fetch-plan.ts';

/**
 * Which weights and golden pictures the models of the shared state name, and where they are likely to be.
 *
 * 1. Every version of a model that nothing supersedes counts: tasks may have been placed with one that lost.
 * 2. Likeliest first: regions that say they can run the model, the region that added it, all others.
 * 3. A model whose manifest cannot be read names nothing.
 */
export class WantedBlobs {
  readonly #members: Pick<Members, 'others'>;
  readonly #index = new ModelIndex();
  /** What the index has read of each key: entries that did not change are not read again. */
  readonly #read = new Map<string, readonly Version[]>();
  readonly #blobsOf = new Map<string, readonly ManifestBlob[]>();

  constructor(members: Pick<Members, 'others'>) {
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
    for (const digest of this.#blobsOf.keys()) if (!live.has(digest)) this.#blobsOf.delete(digest);
  }

  /** Each digest once. */
  blobs(): readonly WantedBlob[] {
    const wanted = new Map<string, { readonly bytes: number; readonly likely: Set<string> }>();
    for (const model of this.#index.versions()) {
      const likely = [...[...this.#index.readyRegions(model.digest)].sort(), regionOf(model.dot.actor)];
      for (const { digest, bytes } of this.#blobsIn(model)) {
        const known = wanted.get(digest) ?? { bytes, likely: new Set() };
        for (const region of likely) known.likely.add(region);
        wanted.set(digest, known);
      }
    }
    const members = new Set(this.#members.others);
    return Array.from(wanted, ([digest, { bytes, likely }]) => ({ digest, bytes, sources: among(members, likely) }));
  }

  /** Digests that a known model names. */
  named(): ReadonlySet<string> {
    return new Set(this.#index.versions().flatMap((model) => this.#blobsIn(model).map(({ digest }) => digest)));
  }

  /** Digests of a model's weights and golden pictures; none when the model is not known, or cannot be read. */
  digestsOf(modelDigest: string): readonly string[] {
    const model = this.#index.modelByDigest(modelDigest);
    return model === undefined ? [] : this.#blobsIn(model).map(({ digest }) => digest);
  }

  #blobsIn(model: ModelEntry): readonly ManifestBlob[] {
    const known = this.#blobsOf.get(model.digest);
    if (known !== undefined) return known;
    const blobs = readBlobs(model.manifest);
    this.#blobsOf.set(model.digest, blobs);
    return blobs;
  }
}

/** The likely ones first. Regions that are no members (this one, one that has left) cannot be asked. */
function among(members: ReadonlySet<string>, likely: ReadonlySet<string>): string[] {
  return [...likely.intersection(members), ...members.difference(likely)];
}

/** None of a manifest that this version cannot read. */
export function readBlobs(manifest: unknown): readonly ManifestBlob[] {
  try {
    return blobsOf(parseManifest(manifest));
  } catch {
    return [];
  }
}
