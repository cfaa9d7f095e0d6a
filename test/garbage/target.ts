import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { subject } from '@meridian/contracts';
import { EntrySchema } from '@meridian/contracts/state';
import { freePort } from '@meridian/local';
import { canonicalJson, type Manifest, parseManifest } from '@meridian/models';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { connectRaw } from '../support/raw-nats.ts';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';
import { createStreams, SyncProcess } from '../support/sync-process.ts';
import { Gate, garbage } from './flood.ts';
import type { WireMessage } from './mutation.ts';

/** Questions: whoever asks wants an answer. */
const ASKED: readonly string[] = [
  subject('stateFetch', { target: 'beijing' }),
  subject('blobChunk', { target: 'beijing' }),
];
/** All that beijing's sync service listens to. */
const HEARD: readonly string[] = [
  subject('delta', { origin: 'shanghai' }),
  subject('head', { origin: 'shanghai' }),
  ...ASKED,
];
/** Longer than a message waits here for the service. */
const AHEAD_MS = 3_600_000;
const FLUSH_EVERY = 200;
/** More that is under way would make the broker drop some of it. */
const COUNT_EVERY = 5_000;
const COUNT_TIMEOUT_MS = 60_000;
/** Nothing more is counted for so long: nothing more comes. */
const QUIET_MS = 10_000;
const LOG_SHOWN_CHARS = 4_000;

/** Beijing's real sync service behind its real broker, and a sync service of shanghai that has gone mad. */
export class Target {
  readonly sync: SyncProcess;
  readonly mad: NatsConnection;
  readonly #brokers: RegionBrokers;
  readonly #metricsPort: number;

  readonly #models: number;
  #disconnected = 0;
  #lost = 0;

  private constructor(
    brokers: RegionBrokers,
    sync: SyncProcess,
    mad: NatsConnection,
    { metricsPort, models }: { readonly metricsPort: number; readonly models: number },
  ) {
    this.#brokers = brokers;
    this.#models = models;
    this.sync = sync;
    this.mad = mad;
    this.#metricsPort = metricsPort;
  }

  /** @param models what an operator adds to its state first */
  static async open(directory: string, models: readonly string[] = ['small', 'large']): Promise<Target> {
    const brokers = await startRegionBrokers({ directory, regions: ['beijing', 'shanghai'], links: false });
    await createStreams(brokers, 'beijing');
    const metricsPort = await freePort();
    const environment = {
      ...{ MERIDIAN_PEER_WAIT_MS: '200', MERIDIAN_FETCH_INTERVAL_MS: '200' },
      MERIDIAN_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
    };
    const sync = new SyncProcess(brokers, { region: 'beijing', directory, environment });
    await sync.start();
    for (const name of models) await sync.client('operator').addModel(upload(name), { timeoutMs: 10_000 });
    const { connection } = await connectRaw(brokers.of('shanghai'), 'sync');
    return new Target(brokers, sync, connection, { metricsPort, models: models.length });
  }

  async close(): Promise<void> {
    await this.mad.close();
    this.sync.closeChannels();
    await this.sync.stop();
    await this.#brokers.stop();
  }

  /** Vector and entries, as a reader gets them. */
  async state(): Promise<string> {
    const watch = this.sync.client('scheduler').watch({}, { timeoutMs: 5_000 });
    for await (const { entries, versionVector, caughtUp } of watch) {
      const all = entries.map((entry) => Buffer.from(toBinary(EntrySchema, entry)).toString('hex'));
      if (caughtUp && all.length >= this.#models) return JSON.stringify([versionVector, all.sort()]);
    }
    throw new Error('the watch ended');
  }

  /** Sum of a counter over its labels that match. */
  async counted(name: string, label = ''): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(label));
    const values = lines.map((line) => line.slice(line.lastIndexOf('}') + 1).trim());
    return values.reduce((sum, value) => sum + Number(value.split(' ')[0]), 0);
  }

  /** Everything that was refused since the service started. */
  async refused(): Promise<number> {
    return (
      (await this.counted('meridian_messaging_invalid_total')) + (await this.counted('meridian_sync_refused_total'))
    );
  }

  /** Sent, and not delivered because the service's connection broke meanwhile: on a machine that is too busy. */
  get lost(): number {
    return this.#lost;
  }

  /**
   * Sends pieces that are certainly wrong on every subject that the service listens to, and waits until it has counted
   * them all.
   * @returns how many of each kind
   */
  async flood(seed: number, count: number): Promise<ReadonlyMap<string, number>> {
    const before = (await this.refused()) + this.#lost;
    const gate = new Gate(undefined, AHEAD_MS);
    const sent = new Map<string, number>();
    let all = 0;
    for (const { kind, message } of garbage(seed)) {
      if (all === count) break;
      if (kind.isAnswer || !HEARD.includes(message.subject) || message.subject !== kind.subject) continue;
      if (gate.fateOf(kind, message) === 'valid' || !publish(this.mad, message)) continue;
      all += 1;
      sent.set(kind.type, (sent.get(kind.type) ?? 0) + 1);
      if (all % FLUSH_EVERY === 0) await this.mad.flush();
      if (all % COUNT_EVERY === 0) await this.#counts(before + all);
    }
    await this.mad.flush();
    await this.#counts(before + all);
    return sent;
  }

  /** What a broker has for a connection that is lost is lost: a message on a core subject is delivered at most once. */
  async #counts(wanted: number): Promise<void> {
    let [before, sinceMs] = [-1, 0];
    await until(async () => {
      const counted = (await this.refused()) + this.#lost;
      const nowMs = performance.now();
      if (counted !== before) [before, sinceMs] = [counted, nowMs];
      const isCut = nowMs - sinceMs > QUIET_MS && this.#disconnections() > this.#disconnected;
      if (counted < wanted && isCut) {
        this.#disconnected = this.#disconnections();
        this.#lost += wanted - counted;
        return true;
      }
      return counted >= wanted || `${counted} of ${wanted} are counted; ${this.sync.log.slice(-LOG_SHOWN_CHARS)}`;
    }, COUNT_TIMEOUT_MS);
  }

  #disconnections(): number {
    return this.sync.log.split('broker connection lost').length - 1;
  }
}

/** A model of which the weights are these. */
export function modelOf(name: string, weights: Uint8Array): Manifest {
  const digest = `sha256:${createHash('sha256').update(weights).digest('hex')}`;
  const input = { name: 'x', width: 224, height: 224, fit: 'stretch', layout: 'NCHW', type: 'float32' };
  return parseManifest({
    ...{ name, licence: 'MIT', source: 'https://example.org', task: 'classification' },
    parts: { model: { file: 'model.onnx', digest, bytes: weights.length, input } },
    decoder: { kind: 'classifier', output: 'y', activation: 'none' },
    labels: ['cat'],
  });
}

async function* upload(name: string) {
  const weights = Buffer.from(`weights of ${name}`);
  const manifest = modelOf(name, weights);
  yield { part: { case: 'manifest', value: canonicalJson(manifest) } } as const;
  yield { part: { case: 'start', value: { digest: manifest.parts.model?.digest ?? '' } } } as const;
  yield { part: { case: 'chunk', value: weights } } as const;
}

/** @returns false for what the client itself does not send, such as headers with control characters */
export function publish(connection: NatsConnection, { subject: to, headers: pairs, data }: WireMessage): boolean {
  try {
    const all: MsgHdrs = headers();
    for (const [name, value] of pairs) all.set(name, value);
    connection.publish(to, data, { headers: all, ...(ASKED.includes(to) && { reply: '_INBOX_sync.garbage' }) });
    return true;
  } catch {
    return false;
  }
}
