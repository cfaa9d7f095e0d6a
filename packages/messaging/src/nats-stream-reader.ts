import { type EventType, STREAMS, type StreamName } from '@meridian/contracts';
import { assert, Failure } from '@meridian/failure';
import type { Clock } from '@meridian/runtime';
import type { Msg } from '@nats-io/transport-node';
import type { Inspector } from './inspector.ts';
import { type JetStreamApi, nanoseconds, parseAckSubject } from './jetstream-api.ts';
import type { Stored, StoredPlace } from './message-bus.ts';
import { blockReader, rawMessage } from './nats-message.ts';
import { Pull, PullInbox } from './nats-pull.ts';
import type { NatsSession } from './nats-session.ts';

/** Bounds of one pull: what a reader may hold that has not been taken yet. */
const BATCH = 256;
const BATCH_BYTES_MAX = 8 * 2 ** 20;
/**
 * The broker looks this long for more before it says that nothing is left. Asked not to wait, it would answer from a
 * count that is sometimes wrong, or not at all. While that count says that something is left, it is given longer: it may
 * just be busy.
 */
const LOOKS_MS = [25, 250, 1000] as const;
/** The consumer forgets itself after this long without a pull; it is not deleted, which would need a permission. */
const INACTIVE_MS = 10_000;

/** A broker that is silent so often in one read, over six seconds in all, is given up. */
const SILENCES_MAX = 5;
const SILENCE_PAUSE_MS = 200;
const READ_INCOMPLETE = 'READ_INCOMPLETE';

/** The last message of every subject, or all of them. */
export type ReadMode = 'last' | 'all';

export interface StreamReadOptions<T extends EventType> {
  readonly session: NatsSession;
  readonly api: JetStreamApi;
  readonly inspector: Inspector;
  readonly clock: Clock;
  readonly stream: StreamName;
  readonly filter: string;
  readonly mode: ReadMode;
  readonly wanted: ReadonlySet<T>;
  /** Told in its turn of each message that is left out. */
  readonly onInvalid: (place: StoredPlace) => void;
}

/**
 * Reads the last message of every subject, or all, through passing consumers in the broker's memory. A broker that falls silent,
 * as one does that has just started and is busy, is asked again, from the message after the last one that came.
 * @throws Failure UNAVAILABLE / DISCONNECTED, NO_ANSWER or READ_INCOMPLETE; NOT_FOUND / STREAM_MISSING
 */
export async function* readStream<T extends EventType>(
  options: StreamReadOptions<T>,
): AsyncGenerator<Stored<T>, void, undefined> {
  const position: Position = { streamSequence: 0 };
  for (let silences = 0; ; silences++) {
    try {
      return yield* readFrom(options, position);
    } catch (thrown) {
      const resumable = wantsAll(options) || position.streamSequence === 0;
      if (!isIncomplete(thrown) || !resumable || silences === SILENCES_MAX) throw thrown;
      await options.clock.sleep(SILENCE_PAUSE_MS * 2 ** silences);
    }
  }
}

/** The last message that was read. */
interface Position {
  streamSequence: number;
}

async function* readFrom<T extends EventType>(
  options: StreamReadOptions<T>,
  position: Position,
): AsyncGenerator<Stored<T>, void, undefined> {
  const { session, api, stream } = options;
  const name = `read_${session.newInbox().split('.').slice(1).join('_')}`;
  const { num_pending: waiting } = await api.createConsumer(stream, {
    name,
    ack_policy: 'none',
    ...startAfter(position, options),
    replay_policy: 'instant',
    filter_subject: options.filter,
    inactive_threshold: nanoseconds(INACTIVE_MS),
    mem_storage: true,
    num_replicas: 1,
  });
  if (waiting === 0) return;
  const inbox = new PullInbox(session, options.clock, () => undefined);
  const reading: Reading = { inbox, name, position, consumerSequence: 0, pending: waiting };
  try {
    // A stream that is written all the time must not hold the reader: to have caught up twice is enough.
    for (let caughtUp = 0, vain = 0, last = Number.POSITIVE_INFINITY; caughtUp < 2; ) {
      const lookMs = LOOKS_MS[vain];
      if (lookMs === undefined) return;
      const { received, expired } = yield* readBatch(options, reading, lookMs);
      if (reading.pending === 0) {
        if (expired) return;
        caughtUp++;
      } else if (expired) {
        // A busy broker may let a pull expire before all is sent. Its count also misleads when subjects are rewritten:
        // then the reader is done when it has what was there before the pull.
        if (position.streamSequence >= last) return;
        last = (await api.streamInfo(stream)).state.last_seq;
      }
      vain = received === 0 ? vain + 1 : 0;
    }
  } finally {
    inbox.discard();
  }
}

function startAfter({ streamSequence }: Position, options: Pick<StreamReadOptions<EventType>, 'mode' | 'stream'>) {
  if (streamSequence > 0) return { deliver_policy: 'by_start_sequence', opt_start_seq: streamSequence + 1 } as const;
  return { deliver_policy: wantsAll(options) ? 'all' : 'last_per_subject' } as const;
}

/** Where a stream keeps only the last ones, reading all of it is cheaper for the broker than to look for them. */
function wantsAll({ mode, stream }: Pick<StreamReadOptions<EventType>, 'mode' | 'stream'>): boolean {
  return mode === 'all' || STREAMS.some((row) => row.name === stream && row.messagesPerSubjectMax === 1);
}

interface Reading {
  readonly inbox: PullInbox;
  readonly name: string;
  readonly position: Position;
  /** Of the last message; and how many waited after it. */
  consumerSequence: number;
  pending: number;
}

/** One pull. @returns how many messages came, and whether its time was over before it was complete */
async function* readBatch<T extends EventType>(
  options: StreamReadOptions<T>,
  reading: Reading,
  lookMs: number,
): AsyncGenerator<Stored<T>, { readonly received: number; readonly expired: boolean }, undefined> {
  const request = {
    subject: `$JS.API.CONSUMER.MSG.NEXT.${options.stream}.${reading.name}`,
    batch: BATCH,
    bytesMax: BATCH_BYTES_MAX,
    expiresMs: lookMs,
  };
  const pull = new Pull(reading.inbox, request, options.session, options.clock);
  try {
    while (true) {
      const message = pull.take();
      if (message !== undefined) {
        const stored = accept(options, message, reading);
        if (stored !== undefined) yield stored;
      } else if (pull.end === undefined) await pull.changed();
      else break;
    }
  } finally {
    pull.leave();
  }
  if (pull.end instanceof Failure) throw pull.end;
  if (pull.received === 0 && pull.end !== 'expired') throw incomplete('the broker sends nothing more');
  return { received: pull.received, expired: pull.end === 'expired' };
}

function accept<T extends EventType>(
  options: StreamReadOptions<T>,
  message: Msg,
  reading: Reading,
): Stored<T> | undefined {
  const info = parseAckSubject(message.reply ?? '');
  assert(info !== undefined, 'a delivery of JetStream has an ack subject');
  // Nothing is delivered twice to a consumer without acks: a gap would be lost without a word.
  if (info.consumerSequence !== reading.consumerSequence + 1) throw incomplete('a message did not arrive');
  reading.consumerSequence = info.consumerSequence;
  reading.pending = info.pending;
  reading.position.streamSequence = info.streamSequence;
  const verdict = options.inspector.inspect(rawMessage(message), options.wanted, true);
  if (typeof verdict !== 'string') return { ...verdict, sequence: info.streamSequence };
  if (verdict === 'invalid') options.onInvalid({ subject: message.subject, sequence: info.streamSequence });
  return undefined;
}

/** @throws Failure DATA_LOSS / STORED_INVALID; what the JetStream API throws */
export async function readLastOf<T extends EventType>(
  api: JetStreamApi,
  inspector: Inspector,
  stream: StreamName,
  subject: string,
  wanted: ReadonlySet<T>,
): Promise<Stored<T> | undefined> {
  const found = await api.lastMessage(stream, subject).catch((thrown: unknown) => {
    if (thrown instanceof Failure && thrown.reason === 'MESSAGE_MISSING') return undefined;
    throw thrown;
  });
  if (found === undefined) return undefined;
  const { message } = found;
  const raw = {
    subject: message.subject,
    header: blockReader(Buffer.from(message.hdrs ?? '', 'base64')),
    data: Buffer.from(message.data ?? '', 'base64'),
  };
  const verdict = inspector.inspect(raw, wanted, true);
  if (typeof verdict === 'string')
    throw new Failure('DATA_LOSS', `the last message of ${subject} is not what is expected there: ${verdict}`, {
      reason: 'STORED_INVALID',
    });
  return { ...verdict, sequence: message.seq };
}

function isIncomplete(thrown: unknown): boolean {
  return thrown instanceof Failure && thrown.reason === READ_INCOMPLETE;
}

function incomplete(problem: string): Failure {
  return new Failure('UNAVAILABLE', `the stream could not be read to its end: ${problem}`, {
    reason: READ_INCOMPLETE,
  });
}
