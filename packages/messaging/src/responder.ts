import { create, toBinary } from '@bufbuild/protobuf';
import { EVENT_TYPES, type EventType, encodeEnvelope, parseSubject } from '@meridian/contracts';
import { assert, Failure } from '@meridian/failure';
import type { Logger } from '@meridian/runtime';
import type { Emitter } from './emitter.ts';
import { encodeReply, rowOf } from './event-codec.ts';
import { decodeFailure, encodeFailure } from './failure-headers.ts';
import type { Inspector, RawMessage } from './inspector.ts';
import type { Cause, Incoming, Outgoing } from './message-bus.ts';
import { inTraceOf } from './trace-scope.ts';

/** Requests of one `serve` that are handled at once; more are refused at once. */
export const SERVING_MAX = 256;
const BUSY_RETRY_MS = 50;

/** An answer as it travels. */
export interface Answer {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly data: Uint8Array;
}

export interface ResponderOptions {
  readonly emitter: Emitter;
  readonly inspector: Inspector;
  readonly logger: Logger;
}

/**
 * Answers the requests of one subject.
 *
 * 1. Every request gets exactly one answer: the handler's, or a failure.
 * 2. At most `SERVING_MAX` run at once.
 */
export class Responder<T extends EventType, R extends EventType> {
  readonly #options: ResponderOptions;
  readonly #wanted: ReadonlySet<T>;
  readonly #handler: (message: Incoming<T>) => Promise<Outgoing<R>>;
  readonly #failureType: EventType;
  #running = 0;
  #idle: (() => void)[] = [];

  constructor(
    options: ResponderOptions,
    subject: string,
    type: T,
    handler: (message: Incoming<T>) => Promise<Outgoing<R>>,
  ) {
    const parsed = parseSubject(subject);
    const replyType = parsed && rowOf(parsed.kind).replyType;
    assert(replyType !== undefined, `${subject} is a subject of requests`);
    this.#options = options;
    this.#wanted = new Set([type]);
    this.#handler = handler;
    this.#failureType = replyType;
  }

  respond(raw: RawMessage, send: (answer: Answer) => void): void {
    const message = this.#options.inspector.inspect(raw, this.#wanted);
    if (typeof message === 'string') send(this.#failed(refusal(message), []));
    else if (this.#running >= SERVING_MAX) send(this.#failed(busy(), [message.envelope]));
    else
      this.#run(message, send).catch((thrown: unknown) => {
        this.#options.logger.error({ err: thrown, subject: message.subject }, 'a request could not be answered');
      });
  }

  /** Resolves when no handler runs. */
  async drained(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #run(message: Incoming<T>, send: (answer: Answer) => void): Promise<void> {
    const causes = [message.envelope];
    this.#running++;
    try {
      const reply: Outgoing = await inTraceOf(message.envelope, () => this.#handler(message));
      send(encodeReply(this.#options.emitter, { ...reply, causes: [...causes, ...(reply.causes ?? [])] }));
    } catch (thrown) {
      const failure = Failure.from(thrown);
      if (failure.code === 'INTERNAL')
        this.#options.logger.error({ err: thrown, subject: message.subject }, 'a request handler failed');
      send(this.#failed(failure, causes));
    } finally {
      if (--this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  /** Carries an envelope with empty data of the reply's type, so that the asker can check where it comes from. */
  #failed(failure: Failure, causes: readonly Cause[]): Answer {
    const schema = EVENT_TYPES[this.#failureType];
    const envelope = this.#options.emitter.envelope({ type: this.#failureType, data: {}, causes });
    return {
      headers: [...encodeEnvelope(envelope), ...encodeFailure(failure)],
      data: toBinary(schema, create(schema)),
    };
  }
}

/** @throws the Failure that the other side threw; DATA_LOSS / REPLY_INVALID when the answer is not a valid event. */
export function readAnswer<R extends EventType>(
  inspector: Inspector,
  raw: RawMessage,
  requestSubject: string,
  replyType: R,
): Incoming<R> {
  const message = inspector.inspectReply(raw, requestSubject, replyType);
  if (message === 'invalid')
    throw new Failure('DATA_LOSS', 'the answer is not a valid event', { reason: 'REPLY_INVALID', retryable: true });
  const failure = decodeFailure(raw.header);
  if (failure !== undefined) throw failure;
  return message;
}

function refusal(verdict: 'invalid' | 'unwanted' | 'future'): Failure {
  if (verdict === 'future')
    return new Failure('FAILED_PRECONDITION', "the asker's clock is too far ahead", { reason: 'CLOCK_AHEAD' });
  return new Failure('INVALID_ARGUMENT', 'the request is not a valid event', { reason: 'REQUEST_INVALID' });
}

function busy(): Failure {
  return new Failure('RESOURCE_EXHAUSTED', 'too many requests at once', {
    reason: 'SERVER_BUSY',
    retryDelayMs: BUSY_RETRY_MS,
  });
}
