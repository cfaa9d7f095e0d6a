import { Failure } from '@meridian/failure';
import { blobsOf, type Manifest, parseManifest } from '@meridian/models';
import { VALUE_BYTES_MAX } from '../replication/plan-writes.ts';
import type { BlobStore } from './blob-store.ts';
import type { IncomingBlob } from './incoming-blob.ts';

/** What a model's upload consists of, in order: its manifest, then for each file of it that is missing a start and chunks. */
export type UploadPart =
  | { readonly kind: 'manifest'; readonly text: string }
  | { readonly kind: 'start'; readonly digest: string }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array };

/**
 * Takes in the weights of one model.
 *
 * 1. Nothing is written before the manifest said how much there will be, and the disk has room for it.
 * 2. Weights that are here already are read over; sending them again changes nothing.
 * 3. The manifest is returned only when every part is here and verified.
 *
 * @param admit throws when there must be no such model here, before any weights are taken
 * @throws Failure INVALID_ARGUMENT (UPLOAD_ORDER, PART_UNKNOWN, PART_MISSING, MANIFEST_INVALID, BLOB_SIZE, BLOB_DIGEST),
 *   RESOURCE_EXHAUSTED / BLOB_SPACE. None is retryable as it is.
 */
export async function receiveModel(
  parts: AsyncIterable<UploadPart>,
  store: BlobStore,
  admit: (manifest: Manifest) => void = () => undefined,
): Promise<Manifest> {
  let upload: ModelUpload | undefined;
  try {
    for await (const part of parts) {
      if (upload !== undefined) await upload.take(part);
      else if (part.kind === 'manifest') upload = await ModelUpload.begin(admitted(part.text, admit), store);
      else throw outOfOrder('the manifest comes first');
    }
    if (upload === undefined) throw outOfOrder('there was no manifest');
    return await upload.finish();
  } finally {
    await upload?.release();
  }
}

class ModelUpload {
  readonly #manifest: Manifest;
  readonly #store: BlobStore;
  readonly #bytesOf: ReadonlyMap<string, number>;
  /** Room that was set aside for what is missing. */
  readonly #reserved: ReadonlyMap<string, () => void>;
  readonly #kept = new Set<string>();
  #current: IncomingBlob | undefined;
  /** Digest of a part that is read over. */
  #ignored: string | undefined;

  private constructor(
    manifest: Manifest,
    store: BlobStore,
    bytesOf: ReadonlyMap<string, number>,
    reserved: ReadonlyMap<string, () => void>,
  ) {
    this.#manifest = manifest;
    this.#store = store;
    this.#bytesOf = bytesOf;
    this.#reserved = reserved;
  }

  static async begin(manifest: Manifest, store: BlobStore): Promise<ModelUpload> {
    const bytesOf = new Map<string, number>();
    for (const blob of blobsOf(manifest)) bytesOf.set(blob.digest, blob.bytes);
    const missing: [string, number][] = [];
    for (const [digest, bytes] of bytesOf) {
      store.offer(digest);
      const here = await store.bytesOf(digest);
      if (here === undefined) missing.push([digest, bytes]);
      else if (here !== bytes)
        throw new Failure('INVALID_ARGUMENT', `${digest} has ${here} bytes, not the ${bytes} that its manifest says`, {
          reason: 'BLOB_SIZE',
        });
    }
    const reserved = new Map<string, () => void>();
    try {
      for (const [digest, bytes] of missing) reserved.set(digest, store.reserve(bytes));
    } catch (error) {
      for (const giveBack of reserved.values()) giveBack();
      throw error;
    }
    return new ModelUpload(manifest, store, bytesOf, reserved);
  }

  async take(part: UploadPart): Promise<void> {
    if (part.kind === 'manifest') throw outOfOrder('there is one manifest');
    if (part.kind === 'start') await this.#start(part.digest);
    else if (this.#current !== undefined) await this.#current.append(part.bytes);
    else if (this.#ignored === undefined) throw outOfOrder('a start comes before its chunks');
  }

  async finish(): Promise<Manifest> {
    await this.#endCurrent();
    for (const digest of this.#reserved.keys())
      if (!this.#kept.has(digest))
        throw new Failure('INVALID_ARGUMENT', `the weights ${digest} were not sent, and are not here`, {
          reason: 'PART_MISSING',
        });
    return this.#manifest;
  }

  /** Gives back what was set aside and not used. */
  async release(): Promise<void> {
    await this.#current?.discard();
    this.#current = undefined;
    for (const [digest, giveBack] of this.#reserved) if (!this.#kept.has(digest)) giveBack();
  }

  async #start(digest: string): Promise<void> {
    await this.#endCurrent();
    const bytes = this.#bytesOf.get(digest);
    if (bytes === undefined)
      throw new Failure('INVALID_ARGUMENT', 'the weights sent are of no part of the manifest', {
        reason: 'PART_UNKNOWN',
      });
    if (this.#reserved.has(digest) && !this.#kept.has(digest)) this.#current = await this.#store.receive(digest, bytes);
    else this.#ignored = digest;
  }

  async #endCurrent(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    this.#ignored = undefined;
    if (current === undefined) return;
    const isCounted = await current.finish();
    if (!isCounted) this.#reserved.get(current.digest)?.();
    this.#kept.add(current.digest);
  }
}

function admitted(text: string, admit: (manifest: Manifest) => void): Manifest {
  const manifest = readManifest(text);
  admit(manifest);
  return manifest;
}

/** A record holds the manifest: what does not fit into one is refused before any weights are sent. */
function readManifest(text: string): Manifest {
  if (Buffer.byteLength(text) > VALUE_BYTES_MAX)
    throw invalid(`it has more than ${VALUE_BYTES_MAX} bytes: shorten the labels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('it is not JSON');
  }
  return parseManifest(value);
}

function invalid(problem: string): Failure {
  return new Failure('INVALID_ARGUMENT', `the manifest is not valid: ${problem}`, { reason: 'MANIFEST_INVALID' });
}

function outOfOrder(problem: string): Failure {
  return new Failure('INVALID_ARGUMENT', `the upload is not in order: ${problem}`, { reason: 'UPLOAD_ORDER' });
}
