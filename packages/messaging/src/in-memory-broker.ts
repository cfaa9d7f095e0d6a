import { parseSubject, STREAMS, type StreamName, type StreamRow } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { Clock } from '@meridian/runtime';
import { rowOf } from './event-codec.ts';
import { InMemoryConsumer } from './in-memory-consumer.ts';
import { InMemoryStream, type NewEntry } from './in-memory-stream.ts';
import type { BusStatus, ConsumerSettings } from './message-bus.ts';
import { subjectMatches } from './subject-match.ts';

export interface InMemoryMessage extends NewEntry {
  /** Set on a request: takes the answer. */
  readonly reply?: (answer: Pick<NewEntry, 'headers' | 'data'>) => void;
}

interface Listener {
  readonly region: string;
  readonly pattern: string;
  readonly queue: string | undefined;
  /** `from`: the region that sent it. */
  readonly deliver: (message: InMemoryMessage & { readonly from: string }) => void;
}

export interface InMemoryBrokerOptions {
  readonly clock: Clock;
  readonly regions: readonly string[];
  /** Default: the table. */
  readonly streams?: readonly StreamRow[];
  /** One-way delay between regions. Default 0: delivered after the current turn. */
  readonly delayMs?: (from: string, to: string) => number;
}

/**
 * The brokers of all regions in one process, for tests and simulations: same routing as the real links have.
 *
 * 1. `service` subjects reach the region they name, `stream` subjects go from their origin to all, others stay.
 * 2. Between regions that are cut off from each other messages vanish, as they do on a dead link.
 * 3. The order between two regions is kept.
 */
export class InMemoryBroker {
  readonly #clock: Clock;
  readonly #rows: readonly StreamRow[];
  readonly #delayMs: (from: string, to: string) => number;
  readonly #streams = new Map<string, InMemoryStream>();
  readonly #consumers = new Map<string, InMemoryConsumer>();
  readonly #lives = new Map<string, number>();
  readonly #listeners = new Set<Listener>();
  readonly #cuts = new Set<string>();
  readonly #down = new Set<string>();
  readonly #statusListeners = new Map<string, Set<(status: BusStatus) => void>>();
  #turn = 0;

  constructor(options: InMemoryBrokerOptions) {
    this.#clock = options.clock;
    this.#delayMs = options.delayMs ?? (() => 0);
    this.#rows = options.streams ?? STREAMS;
    for (const region of options.regions) this.#createStreams(region);
  }

  #createStreams(region: string): void {
    for (const row of this.#rows) this.#streams.set(`${region} ${row.name}`, new InMemoryStream(row, this.#clock));
  }

  /** Cuts or heals the link between two regions. */
  setReachable(a: string, b: string, reachable: boolean): void {
    for (const link of [`${a} ${b}`, `${b} ${a}`])
      if (reachable) this.#cuts.delete(link);
      else this.#cuts.add(link);
  }

  /** Takes a region's broker down or up again; what its streams hold stays. */
  setUp(region: string, up: boolean): void {
    if (up && this.#down.delete(region)) this.#lives.set(region, (this.#lives.get(region) ?? 0) + 1);
    if (!up) this.#down.add(region);
    for (const listener of this.#statusListeners.get(region) ?? []) listener(up ? 'connected' : 'disconnected');
  }

  /** The region's broker goes down and comes up with new, empty streams. */
  loseStore(region: string): void {
    this.setUp(region, false);
    for (const { name } of this.#rows) this.deleteConsumers(region, name);
    this.#createStreams(region);
    this.setUp(region, true);
  }

  /** Another one each time it came up again. */
  lifeOf(region: string): string {
    return `${region} ${this.#lives.get(region) ?? 0}`;
  }

  /** Ends its timers; nothing is delivered again. */
  close(): void {
    for (const consumer of this.#consumers.values()) consumer.close();
  }

  isUp(region: string): boolean {
    return !this.#down.has(region);
  }

  onStatus(region: string, listener: (status: BusStatus) => void): () => void {
    const listeners = this.#statusListeners.get(region) ?? new Set();
    this.#statusListeners.set(region, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** @throws Failure NOT_FOUND / STREAM_MISSING */
  stream(region: string, name: StreamName): InMemoryStream {
    const stream = this.#streams.get(`${region} ${name}`);
    if (stream === undefined)
      throw new Failure('NOT_FOUND', `region ${region} has no stream ${name}`, { reason: 'STREAM_MISSING' });
    return stream;
  }

  /** The region and stream that store the subject; undefined when none does. */
  streamOf(subject: string): { region: string; stream: InMemoryStream } | undefined {
    const parsed = parseSubject(subject);
    const name = parsed && rowOf(parsed.kind).stream;
    const region = parsed?.parts.target ?? parsed?.parts.origin ?? '';
    const stream = this.#streams.get(`${region} ${name}`);
    return stream && { region, stream };
  }

  findConsumer(region: string, stream: StreamName, name: string): InMemoryConsumer | undefined {
    return this.#consumers.get(consumerKey(region, stream, name));
  }

  deleteConsumers(region: string, stream: StreamName): number {
    const found = [...this.#consumers].filter(([key]) => key.startsWith(`${region} ${stream} `));
    for (const [key, consumer] of found) {
      this.#consumers.delete(key);
      consumer.delete();
    }
    return found.length;
  }

  /** @throws Failure FAILED_PRECONDITION / CONSUMER_CONFLICT */
  consumer(region: string, name: StreamName, options: ConsumerSettings): InMemoryConsumer {
    const stream = this.stream(region, name);
    const key = consumerKey(region, name, options.name);
    const existing = this.#consumers.get(key);
    if (existing !== undefined && existing.filter !== options.filter)
      throw conflict(`${options.name} has the filter ${existing.filter}`);
    if (existing === undefined && stream.row.retention === 'workqueue')
      for (const [other, { filter }] of this.#consumers)
        if (other.startsWith(`${region} ${name} `) && overlaps(filter, options.filter))
          throw conflict(`the filter overlaps with ${filter}`);
    const consumer = existing ?? new InMemoryConsumer(stream, options, this.#clock);
    consumer.reconfigure(options);
    this.#consumers.set(key, consumer);
    return consumer;
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @returns whether anybody listens where the subject leads, as far as the sender's region can know */
  publish(from: string, message: InMemoryMessage): boolean {
    const groups = new Map<string, Listener[]>();
    for (const listener of this.#listeners) {
      if (!subjectMatches(listener.pattern, message.subject) || !leadsTo(message.subject, from, listener.region))
        continue;
      const key = listener.queue === undefined ? `#${groups.size}` : `${listener.region} ${listener.queue}`;
      groups.set(key, [...(groups.get(key) ?? []), listener]);
    }
    for (const group of groups.values()) {
      const chosen = group[this.#turn++ % group.length];
      if (chosen !== undefined) this.#carry(from, chosen, message);
    }
    return groups.size > 0;
  }

  /** A message as any client of a region's broker may send it: to who listens and into the stream, unchecked. */
  inject(from: string, message: NewEntry): void {
    this.publish(from, message);
    this.streamOf(message.subject)?.stream.append(message, {});
  }

  /** Runs `arrive` in region `to` after the link's delay, unless the link is cut or the broker down then. */
  carry(from: string, to: string, arrive: () => void): void {
    if (!this.#passes(from, to)) return;
    const delayMs = this.#delayMs(from, to);
    const arriveIfUp = (): void => {
      if (this.#passes(from, to)) arrive();
    };
    if (delayMs > 0) this.#clock.setTimer(delayMs, arriveIfUp);
    else queueMicrotask(arriveIfUp);
  }

  #carry(from: string, listener: Listener, message: InMemoryMessage): void {
    this.carry(from, listener.region, () => {
      if (this.#listeners.has(listener)) listener.deliver({ ...message, from });
    });
  }

  #passes(from: string, to: string): boolean {
    return this.isUp(from) && this.isUp(to) && !this.#cuts.has(`${from} ${to}`);
  }
}

function leadsTo(subject: string, from: string, to: string): boolean {
  const parsed = parseSubject(subject);
  if (parsed === undefined) return from === to;
  const { target } = parsed.parts;
  if (target !== undefined) return target === to;
  return from === to || rowOf(parsed.kind).crossing === 'stream';
}

/** Whether some subject matches both filters. */
function overlaps(a: string, b: string): boolean {
  const [left, right] = [a.split('.'), b.split('.')];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [one, two] = [left[i], right[i]];
    if (one === '>' || two === '>') return true;
    if (one === undefined || two === undefined) return false;
    if (one !== two && one !== '*' && two !== '*') return false;
  }
  return true;
}

function consumerKey(region: string, stream: StreamName, name: string): string {
  return `${region} ${stream} ${name}`;
}

function conflict(problem: string): Failure {
  return new Failure('FAILED_PRECONDITION', `consumer refused: ${problem}`, { reason: 'CONSUMER_CONFLICT' });
}
