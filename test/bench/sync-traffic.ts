import { inflateRawSync } from 'node:zlib';
import { fromBinary } from '@bufbuild/protobuf';
import { DeltaSchema, FetchResponseSchema } from '@meridian/contracts/state';
import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { connectRaw } from '../support/raw-nats.ts';
import type { RegionBroker } from '../support/region-brokers.ts';
import { sharedMs } from './sync-order.ts';

/** Of messages of one kind that a region's broker took from others: every byte of subject, headers and payload. */
export interface Traffic {
  messages: number;
  subjectBytes: number;
  headerBytes: number;
  payloadBytes: number;
  /** Of the payload, what deflate saved. */
  savedBytes: number;
}

/** A question of this region's sync service and its answer, as its broker saw them. */
export interface Exchange {
  readonly peer: string;
  readonly askedMs: number;
  readonly answeredMs: number;
  /** Of the answer: subject, headers and payload. */
  readonly answerBytes: number;
  readonly questionBytes: number;
}

const DELTA_KIND = 'sync.delta';
const DELTA = 'meridian.state.delta.v1';
const ANSWER = 'meridian.state.fetched.v1';

/** Reads what reaches one region's sync service from the others, by an auditor's connection to the region's own broker. */
export class TrafficCapture {
  readonly region: string;
  readonly byKind = new Map<string, Traffic>();
  readonly headerBytesByName = new Map<string, number>();
  readonly exchanges: Exchange[] = [];
  readonly #asked = new Map<string, { readonly peer: string; readonly atMs: number; readonly bytes: number }>();
  readonly #connection: NatsConnection;

  private constructor(region: string, connection: NatsConnection) {
    this.region = region;
    this.#connection = connection;
  }

  static async start(broker: RegionBroker): Promise<TrafficCapture> {
    const { connection } = await connectRaw(broker, 'auditor');
    const capture = new TrafficCapture(broker.region, connection);
    const take = (error: Error | null, message: Msg) => {
      if (error === null) capture.#take(message);
    };
    for (const subject of ['meridian.*.sync.>', 'meridian.*.rpc.sync.>', '_INBOX_sync.>'])
      connection.subscribe(subject, { callback: take });
    await connection.flush();
    return capture;
  }

  get deltas(): Traffic {
    return this.byKind.get(DELTA_KIND) ?? nothing();
  }

  get total(): Traffic {
    const sum = nothing();
    for (const traffic of this.byKind.values()) add(sum, traffic);
    return sum;
  }

  stop(): Promise<void> {
    return this.#connection.close();
  }

  #take(message: Msg): void {
    const [, place, kind, , verb] = message.subject.split('.');
    if (message.subject.startsWith('_INBOX_sync')) this.#takeAnswer(message);
    else if (kind === 'sync' && place !== this.region)
      this.#count(message.subject.split('.').slice(2).join('.'), message);
    else if (kind === 'rpc' && place === this.region) this.#count(`question ${verb}`, message);
    else if (kind === 'rpc' && message.reply)
      this.#asked.set(message.reply, { peer: place ?? '', atMs: sharedMs(), bytes: bytesOf(message) });
  }

  /** Receipts of the state log come to the same inbox, and crossed no link. */
  #takeAnswer(message: Msg): void {
    const question = this.#asked.get(message.subject);
    if (question === undefined || message.headers?.get('ce-type') !== ANSWER) return;
    this.#asked.delete(message.subject);
    this.#count('answer', message);
    const { peer, atMs: askedMs, bytes: questionBytes } = question;
    const answerBytes = bytesOf(message);
    this.exchanges.push({ peer, askedMs, answeredMs: sharedMs(), answerBytes, questionBytes });
  }

  #count(kind: string, message: Msg): void {
    const traffic = this.byKind.get(kind) ?? nothing();
    this.byKind.set(kind, traffic);
    add(traffic, trafficOf(message));
    if (kind !== DELTA_KIND) return;
    for (const [name, values] of message.headers ?? []) {
      const bytes = values.reduce((sum, value) => sum + headerLineBytes(name, value), 0);
      this.headerBytesByName.set(name, (this.headerBytesByName.get(name) ?? 0) + bytes);
    }
  }
}

export function bytesIn({ subjectBytes, headerBytes, payloadBytes }: Traffic): number {
  return subjectBytes + headerBytes + payloadBytes;
}

function bytesOf(message: Msg): number {
  return bytesIn(trafficOf(message));
}

function trafficOf(message: Msg): Traffic {
  return {
    messages: 1,
    subjectBytes: message.subject.length,
    headerBytes: headerBytesOf(message.headers),
    payloadBytes: message.data.length,
    savedBytes: savedIn(message),
  };
}

function savedIn({ headers, data }: Msg): number {
  const type = headers?.get('ce-type');
  if (type !== DELTA && type !== ANSWER) return 0;
  const { block } = type === DELTA ? fromBinary(DeltaSchema, data) : fromBinary(FetchResponseSchema, data);
  const content = block?.content;
  return content?.case === 'deflatedRows' ? inflateRawSync(content.value).length - content.value.length : 0;
}

/** `NATS/1.0`, a line for each value, an empty line. */
function headerBytesOf(headers: MsgHdrs | undefined): number {
  if (headers === undefined) return 0;
  let bytes = 'NATS/1.0\r\n\r\n'.length;
  for (const [name, values] of headers) for (const value of values) bytes += headerLineBytes(name, value);
  return bytes;
}

function headerLineBytes(name: string, value: string): number {
  return `${name}: ${value}\r\n`.length;
}

function nothing(): Traffic {
  return { messages: 0, subjectBytes: 0, headerBytes: 0, payloadBytes: 0, savedBytes: 0 };
}

function add(sum: Traffic, traffic: Traffic): void {
  sum.messages += traffic.messages;
  sum.subjectBytes += traffic.subjectBytes;
  sum.headerBytes += traffic.headerBytes;
  sum.payloadBytes += traffic.payloadBytes;
  sum.savedBytes += traffic.savedBytes;
}
