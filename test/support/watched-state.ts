import { create, toBinary } from '@bufbuild/protobuf';
import { actorId, VersionVector } from '@meridian/causality';
import { ModelRecordSchema, type WatchResponse, WatchResponseSchema } from '@meridian/contracts/state';
import { encodeEntry, modelKey, Replica, readyKey, tenantKey } from '@meridian/replica';
import { encodeTenant, parseRule } from '@meridian/residency';
import { createLogger, systemClock, systemRandom } from '@meridian/runtime';

const ACTOR = actorId('beijing', 0x1234n);

/**
 * The shared state as one region's sync service would tell it, and the real replica that follows it. What is written in
 * one can be told to the replicas of others, at once, later or never.
 */
export class WatchedState {
  readonly replica: Replica;
  readonly #untold: WatchResponse[] = [];
  #news = Promise.withResolvers<void>();

  constructor() {
    const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
    const client = {
      watch: (_: unknown, options?: { signal?: AbortSignal | undefined }) => this.#watch(options?.signal),
    };
    this.replica = new Replica({ client, clock: systemClock, random: systemRandom, logger });
  }

  /** One write, by its number: what is agreed with the tenant. */
  tellTenant(number: number, name: string, rule: string): void {
    const value = encodeTenant({ name, residency: parseRule(rule) });
    this.#tell(number, [entryOf(number, tenantKey(name), value)]);
  }

  /** One write, by its number: the model of this name is this version, and all these regions have it loaded. */
  tell(number: number, name: string, digest: string, regions: readonly string[]): void {
    const record = create(ModelRecordSchema, { name, modelDigest: digest, manifest: '{"expectedServiceMs":30}' });
    this.#tell(number, [
      entryOf(number, modelKey(name), toBinary(ModelRecordSchema, record)),
      ...regions.map((region) => entryOf(number, readyKey(region, digest), Buffer.from('ready'))),
    ]);
  }

  #tell(number: number, entries: ReturnType<typeof encodeEntry>[]): void {
    const versionVector = VersionVector.of([[ACTOR, number]]).toString();
    this.#untold.push(create(WatchResponseSchema, { entries, versionVector, caughtUp: true }));
    this.#news.resolve();
  }

  async *#watch(signal: AbortSignal | undefined): AsyncGenerator<WatchResponse> {
    const stopped = Promise.withResolvers<void>();
    signal?.addEventListener('abort', () => stopped.resolve(), { once: true });
    while (signal?.aborted !== true) {
      const next = this.#untold.shift();
      if (next !== undefined) yield next;
      else {
        this.#news = Promise.withResolvers();
        await Promise.race([this.#news.promise, stopped.promise]);
      }
    }
  }
}

function entryOf(number: number, key: string, value: Uint8Array): ReturnType<typeof encodeEntry> {
  const version = {
    dot: { actor: ACTOR, counter: number },
    hlc: { wallMs: number, logical: 0 },
    value,
    deleted: false,
  };
  return encodeEntry({ key, versions: [version], context: VersionVector.of([[ACTOR, number]]) });
}
