import { fromBinary } from '@bufbuild/protobuf';
import type { Dot } from '@meridian/causality';
import { ModelRecordSchema } from '@meridian/contracts/state';
import { currentValue, type Entry, type Version, winnerOf } from './entry.ts';
import { parseStateKey } from './state-key.ts';

/** A model version as the shared state has it. */
export interface ModelEntry {
  readonly name: string;
  /** `sha256:…` of the canonical manifest. */
  readonly digest: string;
  /** The manifest's JSON, parsed; check it with @meridian/models' parseManifest before use. */
  readonly manifest: unknown;
  /** What a task that is placed with this record requires. */
  readonly dot: Dot;
}

/**
 * Models and readiness, kept up to date entry by entry.
 *
 * 1. A name gives the winner among concurrent versions; a digest gives any version that is not superseded, so a task
 *    that was placed with a version that lost meanwhile still finds its manifest.
 * 2. A record that cannot be read is left out, as if it were absent: one bad record must not hide the others.
 */
export class ModelIndex {
  readonly #byName = new Map<string, ModelEntry>();
  readonly #byKey = new Map<string, readonly ModelEntry[]>();
  readonly #readyRegions = new Map<string, Set<string>>();

  /** @returns false when the key is a model's and none of its versions can be read. */
  update(entry: Entry): boolean {
    const key = parseStateKey(entry.key);
    if (key?.kind === 'model') return this.#updateModel(key.name, entry);
    if (key?.kind === 'ready') this.#updateReady(key.region, key.digest, currentValue(entry) !== undefined);
    return true;
  }

  model(name: string): ModelEntry | undefined {
    return this.#byName.get(name);
  }

  modelByDigest(digest: string): ModelEntry | undefined {
    for (const versions of this.#byKey.values()) {
      const found = versions.find((version) => version.digest === digest);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** By name. */
  models(): ModelEntry[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Every version that nothing supersedes, those that lost to a concurrent one included. In no particular order. */
  versions(): ModelEntry[] {
    return [...this.#byKey.values()].flat();
  }

  readyRegions(digest: string): ReadonlySet<string> {
    return this.#readyRegions.get(digest) ?? NO_REGIONS;
  }

  #updateModel(name: string, entry: Entry): boolean {
    const live = entry.versions.filter((version) => !version.deleted);
    const models = live.map((version) => decodeModel(name, version)).filter((model) => model !== undefined);
    this.#byKey.set(entry.key, models);
    const winner = winnerOf(entry);
    const shown = models.find(({ dot }) => dot === winner?.dot);
    if (shown === undefined) this.#byName.delete(name);
    else this.#byName.set(name, shown);
    return live.length === 0 || models.length > 0;
  }

  #updateReady(region: string, digest: string, ready: boolean): void {
    // A new set each time: callers may keep the one they got.
    const regions = new Set(this.#readyRegions.get(digest));
    if (ready) regions.add(region);
    else regions.delete(region);
    if (regions.size === 0) this.#readyRegions.delete(digest);
    else this.#readyRegions.set(digest, regions);
  }
}

const NO_REGIONS: ReadonlySet<string> = new Set();

function decodeModel(name: string, version: Version): ModelEntry | undefined {
  try {
    const record = fromBinary(ModelRecordSchema, version.value);
    if (record.name !== name) return undefined;
    return { name, digest: record.modelDigest, manifest: JSON.parse(record.manifest), dot: version.dot };
  } catch {
    return undefined;
  }
}
