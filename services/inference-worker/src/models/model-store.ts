import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { StateService } from '@meridian/contracts/state';
import { assert, Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import type { Logger } from '@meridian/runtime';

export interface Blob {
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  readonly bytes: number;
}

export interface ModelStoreOptions {
  readonly directory: string;
  /** Of the region's sync service. */
  readonly client: Pick<RpcClient<typeof StateService>, 'readBlob'>;
  readonly bytesMax: number;
  readonly logger: Logger;
}

/** Within one call; later calls begin anew. */
const ATTEMPTS_MAX = 3;
/** Without a chunk for this long the call is given up: chunks are small and the sync service is in the region. */
const FETCH_TIMEOUT_MS = 10 * 60_000;

/**
 * Weights on disk, by digest.
 *
 * 1. A file with the name of a digest has its bytes: it is written aside, checked, and renamed.
 * 2. What is used in this process is never deleted; beyond `bytesMax` the file used longest ago goes.
 * 3. A file from an earlier start is checked before its first use.
 */
export class ModelStore {
  readonly #o: ModelStoreOptions;
  readonly #inUse = new Set<string>();
  readonly #fetching = new Map<string, Promise<string>>();

  constructor(options: ModelStoreOptions) {
    this.#o = options;
  }

  /** Removes what an earlier process left half-written. */
  async start(): Promise<void> {
    await mkdir(this.#o.directory, { recursive: true });
    for (const file of await readdir(this.#o.directory))
      if (file.endsWith('.part')) await rm(join(this.#o.directory, file), { force: true });
  }

  /**
   * The path of the blob's file, fetched when it is not here.
   * @throws Failure of the sync service (UNAVAILABLE, also BLOB_ON_ITS_WAY; NOT_FOUND), DATA_LOSS / MODEL_DIGEST_MISMATCH, or
   *   RESOURCE_EXHAUSTED / MODEL_STORE_FULL when everything here is in use.
   */
  ensure(blob: Blob, signal: AbortSignal): Promise<string> {
    const known = this.#fetching.get(blob.digest);
    if (known !== undefined) return known;
    const fetching = this.#ensure(blob, signal).finally(() => this.#fetching.delete(blob.digest));
    this.#fetching.set(blob.digest, fetching);
    return fetching;
  }

  async #ensure(blob: Blob, signal: AbortSignal): Promise<string> {
    const path = this.#pathOf(blob.digest);
    if (this.#inUse.has(blob.digest)) return path;
    if (!(await this.#isWhole(blob, path))) {
      await this.#makeRoom(blob);
      await this.#fetch(blob, path, signal);
    }
    this.#inUse.add(blob.digest);
    const now = new Date();
    await utimes(path, now, now);
    return path;
  }

  async #isWhole(blob: Blob, path: string): Promise<boolean> {
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) return false;
    if (found.size === blob.bytes && (await digestOf(path)) === blob.digest) return true;
    this.#o.logger.warn({ digest: blob.digest }, 'weights on disk are damaged; fetching them again');
    return false;
  }

  async #fetch(blob: Blob, path: string, signal: AbortSignal): Promise<void> {
    const part = `${path}.${randomUUID()}.part`;
    const file = await open(part, 'wx');
    try {
      const hash = createHash('sha256');
      let offset = 0;
      for (let attempt = 1; offset < blob.bytes; attempt += 1) {
        try {
          const request = { digest: blob.digest, offset: BigInt(offset) };
          for await (const { chunk } of this.#o.client.readBlob(request, { signal, timeoutMs: FETCH_TIMEOUT_MS })) {
            if (offset + chunk.length > blob.bytes) throw mismatch(blob, 'more bytes than the manifest names');
            hash.update(chunk);
            await file.write(chunk);
            offset += chunk.length;
          }
          if (offset < blob.bytes) throw mismatch(blob, `${offset} bytes, the manifest names ${blob.bytes}`);
        } catch (thrown) {
          const failure = Failure.from(thrown);
          // A failure that says when to come again is for the caller: others can be fetched meanwhile.
          const isForCaller = !failure.retryable || failure.retryDelayMs !== undefined;
          if (isForCaller || attempt === ATTEMPTS_MAX || signal.aborted) throw failure;
        }
      }
      const found = `sha256:${hash.digest('hex')}`;
      if (found !== blob.digest) throw mismatch(blob, found);
      await file.sync();
      await rename(part, path);
    } finally {
      await file.close();
      await rm(part, { force: true });
    }
  }

  async #makeRoom(blob: Blob): Promise<void> {
    const files = await Promise.all(
      (await readdir(this.#o.directory)).map(async (name) => ({
        name,
        ...pick(await stat(join(this.#o.directory, name))),
      })),
    );
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const idle = files.filter(({ name }) => !this.#inUse.has(`sha256:${name}`) && !name.endsWith('.part'));
    idle.sort((a, b) => a.usedMs - b.usedMs);
    for (const file of idle) {
      if (bytes + blob.bytes <= this.#o.bytesMax) return;
      await rm(join(this.#o.directory, file.name), { force: true });
      bytes -= file.bytes;
    }
    if (bytes + blob.bytes <= this.#o.bytesMax) return;
    throw new Failure('RESOURCE_EXHAUSTED', `the weights in use leave no room for ${blob.bytes} bytes more`, {
      reason: 'MODEL_STORE_FULL',
      details: { bytesMax: String(this.#o.bytesMax) },
    });
  }

  #pathOf(digest: string): string {
    assert(/^sha256:[0-9a-f]{64}$/.test(digest), 'a manifest that was parsed has well-formed digests');
    return join(this.#o.directory, digest.slice('sha256:'.length));
  }
}

function pick(found: { readonly size: number; readonly mtimeMs: number }): { bytes: number; usedMs: number } {
  return { bytes: found.size, usedMs: found.mtimeMs };
}

/** In pieces, so that heartbeats go on while a large file is read. */
async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return `sha256:${hash.digest('hex')}`;
}

function mismatch(blob: Blob, found: string): Failure {
  return new Failure('DATA_LOSS', `weights ${blob.digest}: found ${found}`, { reason: 'MODEL_DIGEST_MISMATCH' });
}
