import { VersionVector } from '@meridian/causality';
import type { EntryView, StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import { type Random, seededRandom, systemClock } from '@meridian/runtime';
import type { Ledger } from './ledger.ts';
import type { Outcome } from './losses.ts';

const WRITERS_PER_REGION = 4;
const SHARED_KEYS = 12;
const OWN_KEYS = 20;
const PAUSE_MS = 15;
const CALL_TIMEOUT_MS = 4_000;
/** After a read that failed: the region is away. */
const AWAY_MS = 100;
const DELETIONS = 0.12;
/** Of writes to keys that nobody has written before. */
const NEW_KEYS = 0.08;

/** Surely nothing was written. */
const REFUSALS: ReadonlySet<string> = new Set(['INVALID_ARGUMENT', 'FAILED_PRECONDITION', 'RESOURCE_EXHAUSTED']);

type Client = RpcClient<typeof StateService>;

/**
 * Reads a key and writes it with the context of what it was shown, again and again: half of the writers of a region on keys
 * of their own, half on keys that all regions write; now and then on a new one.
 */
export class Writers {
  readonly #ledger: Ledger;
  readonly #clients: ReadonlyMap<string, Client>;
  readonly #running = new Map<string, { readonly ended: AbortController; readonly done: Promise<unknown> }>();
  #writes = 0;

  constructor(ledger: Ledger, clients: ReadonlyMap<string, Client>) {
    this.#ledger = ledger;
    this.#clients = clients;
  }

  start(...regions: readonly string[]): void {
    for (const region of regions.length === 0 ? this.#clients.keys() : regions) {
      if (this.#running.has(region)) continue;
      const ended = new AbortController();
      const writers = Array.from({ length: WRITERS_PER_REGION }, (_, i) => this.#writeOn(region, i, ended.signal));
      this.#running.set(region, { ended, done: Promise.all(writers) });
    }
  }

  /** Resolves when every write that was begun has ended. */
  async stop(...regions: readonly string[]): Promise<void> {
    const stopping = [...this.#running].filter(([region]) => regions.length === 0 || regions.includes(region));
    for (const [, { ended }] of stopping) ended.abort();
    await Promise.all(stopping.map(([, { done }]) => done));
    for (const [region] of stopping) this.#running.delete(region);
  }

  /** One write of a key that nobody has written before. */
  async writeNew(region: string): Promise<void> {
    await this.#writeOnce(region, newKeyOf(region, this.#writes), seededRandom(this.#writes));
  }

  async #writeOn(region: string, writer: number, ended: AbortSignal): Promise<void> {
    const random = seededRandom(this.#writes + writer);
    while (!ended.aborted) {
      const hasRead = await this.#writeOnce(region, this.#keyOf(region, writer, random), random);
      await systemClock.sleep(hasRead ? random.int(2 * PAUSE_MS) : AWAY_MS, ended).catch(() => undefined);
    }
  }

  #keyOf(region: string, writer: number, random: Random): string {
    if (random.next() < NEW_KEYS) return newKeyOf(region, this.#writes);
    if (writer % 2 === 0) return `config/shared/${random.int(SHARED_KEYS)}`;
    return `config/own/${region}-${writer}/${random.int(OWN_KEYS)}`;
  }

  /** @returns false when the region could not be read */
  async #writeOnce(region: string, key: string, random: Random): Promise<boolean> {
    const client = this.#clients.get(region) as Client;
    const entry = await read(client, key);
    if (entry === undefined) return false;
    const saw = this.#ledger.observe(entry);
    const isDelete = saw.length > 0 && random.next() < DELETIONS;
    const id = `${isDelete ? 'deletion' : 'value'} ${++this.#writes} of ${region}`;
    const { outcome, vector } = await write(client, isDelete ? undefined : id, entry);
    // A deletion that found nothing left to delete says nothing of those that did.
    if (outcome !== 'unchanged') this.#ledger.add({ id, region, key, isDelete, saw, outcome, vector });
    if (outcome === 'acknowledged') this.#ledger.observe(await read(client, key));
    return true;
  }
}

function newKeyOf(region: string, writes: number): string {
  return `config/new/${region}-${writes}`;
}

async function read(client: Client, key: string): Promise<EntryView | undefined> {
  try {
    return (await client.get({ key }, { timeoutMs: CALL_TIMEOUT_MS })).entry;
  } catch {
    return undefined;
  }
}

async function write(
  client: Client,
  value: string | undefined,
  { key, context }: EntryView,
): Promise<{ outcome: Outcome | 'unchanged'; vector: VersionVector }> {
  const options = { timeoutMs: CALL_TIMEOUT_MS };
  try {
    const { changed, versionVector } =
      value === undefined
        ? await client.delete({ key, context }, options)
        : await client.put({ key, value: Buffer.from(value), context }, options);
    const vector = VersionVector.parse(versionVector) ?? VersionVector.EMPTY;
    return { outcome: changed ? 'acknowledged' : 'unchanged', vector };
  } catch (error) {
    const { code, reason } = Failure.from(error);
    const isRefused = REFUSALS.has(code) || reason === 'RECOVERING';
    return { outcome: isRefused ? 'refused' : 'uncertain', vector: VersionVector.EMPTY };
  }
}
