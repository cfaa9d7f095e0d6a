import * as Automerge from '@automerge/automerge';
import { applyUpdate, Doc, encodeStateAsUpdate, encodeStateVector, type Map as YMap } from 'yjs';
import { batchesOf, dealt, type Update } from './sync-workload.ts';

/**
 * A library's documents as replicas, in a process of its own: the same writes by the same three writers, in batches of
 * which each becomes one message. Messages cost nothing but their subject here, and arrive at once.
 */
export interface DocumentsOrder {
  readonly library: 'yjs' | 'automerge';
  readonly updates: readonly Update[];
  readonly batch: number;
  /** Written while one replica is cut off. */
  readonly missed: readonly Update[];
  /** One each to new keys: for what a key takes. */
  readonly further: readonly Update[];
  readonly subjectBytes: number;
}

export interface DocumentsFigures {
  readonly bytesPerUpdate: number;
  /** Making and applying, of one update at one replica. */
  readonly microsPerUpdate: number;
  readonly totalMs: number;
  readonly catchUpBytes: number;
  readonly memoryPerKeyBytes: number;
}

/** One replica of a library. */
interface Document {
  /** Writes as one transaction. @returns the message that tells the others */
  write(updates: readonly Update[]): readonly Uint8Array[];
  apply(message: Uint8Array): void;
  /** What this one lacks of the other's, as the library asks and answers. */
  missingFrom(other: this): Uint8Array;
  digest(): string;
}

class YjsDocument implements Document {
  readonly #doc = new Doc();
  readonly #map: YMap<string> = this.#doc.getMap('state');
  #messages: Uint8Array[] = [];

  constructor() {
    this.#doc.on('update', (message: Uint8Array, origin: unknown) => {
      if (origin !== 'peer') this.#messages.push(message);
    });
  }

  write(updates: readonly Update[]): readonly Uint8Array[] {
    this.#messages = [];
    this.#doc.transact(() => {
      for (const { key, value } of updates) this.#map.set(key, value);
    });
    return this.#messages;
  }

  apply(message: Uint8Array): void {
    applyUpdate(this.#doc, message, 'peer');
  }

  missingFrom(other: this): Uint8Array {
    return encodeStateAsUpdate(other.#doc, encodeStateVector(this.#doc));
  }

  digest(): string {
    return digestOf([...this.#map.entries()]);
  }
}

class AutomergeDocument implements Document {
  #doc: Automerge.Doc<Record<string, string>> = Automerge.init();

  write(updates: readonly Update[]): readonly Uint8Array[] {
    const before = this.#doc;
    const heads = Automerge.getHeads(before);
    this.#doc = Automerge.change(before, (map) => {
      for (const { key, value } of updates) map[key] = value;
    });
    return Automerge.getChangesSince(this.#doc, heads);
  }

  apply(message: Uint8Array): void {
    [this.#doc] = Automerge.applyChanges(this.#doc, [message]);
  }

  missingFrom(other: this): Uint8Array {
    return Buffer.concat(Automerge.getChangesSince(other.#doc, Automerge.getHeads(this.#doc)));
  }

  digest(): string {
    return digestOf(Object.entries(this.#doc));
  }
}

process.on('message', (order: DocumentsOrder) => process.send?.(measure(order)));
process.on('disconnect', () => process.exit(0));
process.send?.('ready');

function measure(order: DocumentsOrder): DocumentsFigures {
  const make = (): Document => (order.library === 'yjs' ? new YjsDocument() : new AutomergeDocument());
  // First, while the library's memory has no room left over from something else.
  const memoryPerKeyBytes = memoryPerKey(make(), order.further, order.batch);
  const replicas = [make(), make(), make()];
  exchange(replicas, order.further.slice(0, order.batch), order.batch); // compiled code, grown heap
  const startMs = performance.now();
  const sent = exchange(replicas, order.updates, order.batch);
  const totalMs = performance.now() - startMs;
  if (new Set(replicas.map((replica) => replica.digest())).size !== 1) throw new Error('the documents differ');
  const receipts = order.updates.length * (replicas.length - 1);
  const [, , cutOff] = replicas;
  exchange(replicas.slice(0, 2), order.missed, order.batch);
  return {
    bytesPerUpdate: (sent.bytes + sent.messages * order.subjectBytes) / order.updates.length,
    microsPerUpdate: (1000 * totalMs) / receipts,
    totalMs,
    catchUpBytes: cutOff === undefined ? 0 : cutOff.missingFrom(replicas[0] ?? cutOff).length,
    memoryPerKeyBytes,
  };
}

/** In rounds: each replica writes a batch, then all hear of it. @returns what one receiver got */
function exchange(replicas: readonly Document[], updates: readonly Update[], batch: number) {
  const shares = dealt(updates, replicas.length).map((share) => batchesOf(share, batch));
  let [bytes, messages] = [0, 0];
  for (let round = 0; round < (shares[0]?.length ?? 0); round++)
    for (const [i, writer] of replicas.entries())
      for (const message of writer.write(shares[i]?.[round] ?? [])) {
        bytes += message.length;
        messages++;
        for (const [j, other] of replicas.entries()) if (i !== j) other.apply(message);
      }
  return { bytes, messages };
}

function memoryPerKey(document: Document, updates: readonly Update[], batch: number): number {
  const before = usedBytes();
  for (const part of batchesOf(updates, batch)) document.write(part);
  const used = usedBytes() - before;
  document.digest();
  return used / updates.length;
}

function usedBytes(): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function digestOf(entries: readonly (readonly [string, string])[]): string {
  return entries
    .map(([key, value]) => `${key} ${value}`)
    .sort()
    .join('\n');
}
