import type { DescMethod, Message } from '@bufbuild/protobuf';
import { status as GrpcStatus, type StatusObject } from '@grpc/grpc-js';
import { Failure } from '@meridian/failure';
import {
  READ_AHEAD_BYTES,
  READ_AHEAD_MESSAGES,
  SEND_BUFFER_BYTES,
  SEND_OVERFLOW_BYTES,
  UNARY_TIMEOUT_MS,
} from './call-limits.ts';
import { metadataOf } from './call-metadata.ts';
import type { Channel, GrpcCall } from './channel.ts';
import { Inbox } from './inbox.ts';
import { decodeMessage, encodeMessage } from './message-codec.ts';
import { ATTACH, CLOSE, Outbox } from './outbox.ts';
import { pathOf } from './route.ts';
import { CALL_OVER, SendBuffer, sendBufferFull } from './send-buffer.ts';
import type { CallOptions, Duplex } from './service-types.ts';
import { failureFromStatus } from './status.ts';

/**
 * One outgoing call, from its headers to its status.
 *
 * 1. The status ends it; what this side decided first (signal, malformed answer, full buffer) is what the caller sees.
 * 2. Answers that arrived before the end are delivered before it.
 * 3. Nothing of it stays behind: signal listener and channel entry go with the status.
 */
export class ClientCall implements Duplex<object, Message> {
  readonly messages: Inbox<Message>;
  readonly #channel: Channel;
  readonly #method: DescMethod;
  readonly #options: CallOptions;
  readonly #call: GrpcCall;
  readonly #requests: SendBuffer;
  #outbox: Outbox<object> | undefined;
  /** Why this side ended the call. */
  #reason: Failure | undefined;
  #over: Failure | undefined;

  /** @throws Failure INVALID_ARGUMENT / CAUSE_INVALID, UNAVAILABLE / CHANNEL_CLOSED, or the signal's reason. */
  constructor(channel: Channel, method: DescMethod, options: CallOptions) {
    if (options.signal?.aborted) throw reasonOf(options.signal);
    const metadata = metadataOf(options);
    this.#channel = channel;
    this.#method = method;
    this.#options = options;
    const call = channel.open(pathOf(method), deadlineOf(method, options, channel.clock.nowMs()));
    this.#call = call;
    this.messages = new Inbox({
      messagesMax: READ_AHEAD_MESSAGES,
      bytesMax: READ_AHEAD_BYTES,
      pull: () => call.startRead(),
      abandoned: () => this.cancel(),
    });
    this.#requests = new SendBuffer({
      bytesMax: SEND_BUFFER_BYTES,
      overflowBytes: SEND_OVERFLOW_BYTES,
      inFlightMax: 1, // before it is connected, grpc-js keeps one message and forgets the others
      transmit: (message, sent) => call.sendMessageWithContext({ callback: sent }, message),
      overflowed: () => this.#giveUp(sendBufferFull()),
    });
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    call.start(metadata, {
      onReceiveMetadata: () => {},
      onReceiveMessage: (bytes: Buffer) => this.#receive(bytes),
      onReceiveStatus: (status) => this.#end(status),
    });
    this.messages.fill();
  }

  send(message: object): boolean {
    if (this.#over !== undefined) return false;
    return this.#requests.send(encodeMessage(this.#method.input, message, this.#channel.messageBytesMax));
  }

  ready(): Promise<void> {
    return this.#requests.ready();
  }

  end(): void {
    this.#requests.finish(() => this.#call.halfClose());
  }

  cancel(): void {
    this.#giveUp(new Failure('CANCELLED', 'the call was cancelled'));
  }

  /** Sends every request as there is room, then ends; a source that throws ends the call with what it threw. */
  sendAll(requests: AsyncIterable<object>): void {
    this.#pump(requests).catch((thrown) => this.#giveUp(Failure.from(thrown)));
  }

  /** The answer of a method that gives one. */
  async onlyMessage(): Promise<Message> {
    const first = await this.messages.next();
    if (first.done) throw new Failure('INTERNAL', 'the peer ended the call without an answer');
    await this.messages.next(); // the status
    return first.value;
  }

  async #pump(requests: AsyncIterable<object>): Promise<void> {
    if (requests instanceof Outbox) {
      this.#outbox = requests;
      await requests[ATTACH](this);
    } else {
      for await (const request of requests) {
        if (this.#over !== undefined) return;
        if (!this.send(request)) await this.ready();
      }
    }
    this.end();
  }

  readonly #onAbort = () => {
    if (this.#options.signal !== undefined) this.#giveUp(reasonOf(this.#options.signal));
  };

  #receive(bytes: Buffer): void {
    try {
      this.messages.push(decodeMessage(this.#method.output, bytes, 'INTERNAL'), bytes.length);
    } catch (thrown) {
      this.#giveUp(Failure.from(thrown));
    }
  }

  #giveUp(reason: Failure): void {
    if (this.#over !== undefined || this.#reason !== undefined) return;
    this.#reason = reason;
    this.#call.cancelWithStatus(GrpcStatus.CANCELLED, 'cancelled by the caller');
  }

  #end(status: StatusObject): void {
    if (this.#over !== undefined) return;
    const failure = this.#reason ?? (status.code === GrpcStatus.OK ? undefined : failureFromStatus(status));
    this.#over = failure ?? CALL_OVER;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#channel.release(this.#call);
    this.#requests.close(this.#over);
    this.#outbox?.[CLOSE](this.#over);
    if (failure === undefined) this.messages.finish();
    else this.messages.fail(failure);
  }
}

function deadlineOf(method: DescMethod, options: CallOptions, nowMs: number): number {
  const bounds = [options.deadlineMs, options.timeoutMs === undefined ? undefined : nowMs + options.timeoutMs];
  const deadlineMs = Math.min(...bounds.map((bound) => bound ?? Number.POSITIVE_INFINITY));
  if (deadlineMs === Number.POSITIVE_INFINITY && method.methodKind === 'unary') return nowMs + UNARY_TIMEOUT_MS;
  return deadlineMs;
}

function reasonOf(signal: AbortSignal): Failure {
  return signal.reason instanceof Failure
    ? signal.reason
    : new Failure('CANCELLED', 'the call was cancelled', { cause: signal.reason });
}
