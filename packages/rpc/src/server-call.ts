import type { Message } from '@bufbuild/protobuf';
import { Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { Failure } from '@meridian/failure';
import type { Clock, Timer } from '@meridian/runtime';
import type { Context, Span } from '@opentelemetry/api';
import { READ_AHEAD_BYTES, READ_AHEAD_MESSAGES, SEND_BUFFER_BYTES, SEND_OVERFLOW_BYTES } from './call-limits.ts';
import { forHandlers, textOf } from './call-metadata.ts';
import { decodeCause } from './cause.ts';
import { Inbox } from './inbox.ts';
import { decodeMessage, encodeMessage } from './message-codec.ts';
import { ATTACH, CLOSE, Outbox } from './outbox.ts';
import { type Peer, peerOf } from './peer.ts';
import { authorize, type Route } from './route.ts';
import { CALL_OVER, SendBuffer, sendBufferFull } from './send-buffer.ts';
import type { CallReport } from './server-report.ts';
import type { CallContext } from './service-types.ts';
import { statusFromFailure } from './status.ts';

/** What the server lends to its calls. */
export interface ServerCallHost {
  readonly clock: Clock;
  readonly messageBytesMax: number;
  readonly draining: () => boolean;
  readonly report: CallReport;
  readonly opened: (call: ServerCall) => void;
  /** The call's last byte was given to its connection, or the connection is gone. */
  readonly closed: (call: ServerCall) => void;
}

/**
 * One incoming call, from its headers to its status.
 *
 * 1. A handler runs only for a known peer that the allow-list names, after the cause was read and the call was admitted. Nothing
 *    is read of a call that was not.
 * 2. One status is sent; whatever ends the call first decides it.
 * 3. The handler's signal is aborted, with the Failure, when the call ends in any way but success.
 * 4. Requests are read no further ahead than the inbox allows, responses kept no longer than the send buffer allows.
 *
 * It stands on grpc-js's interceptor interface, not on its stream objects: those read 16 messages ahead whatever their
 * size, and end in ways (destroy on a left loop, errors as events) that do not fit handlers made of iterables.
 */
export class ServerCall {
  readonly #call: ServerInterceptingCallInterface;
  readonly #route: Route;
  readonly #host: ServerCallHost;
  readonly #abort = new AbortController();
  /** One a call, not one a server: handlers of finished calls would leave their listeners on it. */
  readonly #draining = new AbortController();
  readonly #requests: Inbox<Message>;
  readonly #responses: SendBuffer;
  #deadline: Timer | undefined;
  #span: Span | undefined;
  #peer: Peer | undefined;
  #ended = false;

  constructor(call: ServerInterceptingCallInterface, route: Route, host: ServerCallHost) {
    this.#call = call;
    this.#route = route;
    this.#host = host;
    this.#requests = new Inbox({
      messagesMax: READ_AHEAD_MESSAGES,
      bytesMax: READ_AHEAD_BYTES,
      pull: () => call.startRead(),
    });
    this.#responses = new SendBuffer({
      bytesMax: SEND_BUFFER_BYTES,
      overflowBytes: SEND_OVERFLOW_BYTES,
      inFlightMax: Number.MAX_SAFE_INTEGER, // bounded in bytes
      transmit: (message, sent) => call.sendMessage(message, sent),
      overflowed: () => this.#fail(sendBufferFull()),
    });
  }

  start(): void {
    this.#call.start({
      onReceiveMetadata: (metadata) => this.#begin(metadata),
      onReceiveMessage: (bytes: Buffer) => this.#receive(bytes),
      onReceiveHalfClose: () => this.#requests.finish(),
      onCancel: () => this.#cancelled(),
    });
  }

  /** Tells the handler that the server drains. */
  drain(): void {
    this.#draining.abort();
  }

  #begin(metadata: Metadata): void {
    this.#host.opened(this);
    if (this.#host.draining()) this.drain();
    const text = textOf(metadata);
    const { span, traceContext } = this.#host.report.begin(this.#route, text);
    this.#span = span;
    try {
      const callContext = this.#open(text, traceContext);
      this.#serve(callContext).catch((thrown) => this.#fail(thrown));
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #open(text: ReadonlyMap<string, string>, traceContext: Context): CallContext {
    const peer = peerOf(this.#call.getAuthContext().sslPeerCertificate);
    this.#peer = peer;
    authorize(this.#route, peer);
    const deadlineMs = this.#startDeadline();
    let handlers: ReadonlyMap<string, string> | undefined;
    const callContext = {
      peer,
      deadlineMs,
      signal: this.#abort.signal,
      draining: this.#draining.signal,
      cause: decodeCause(text),
      traceContext,
      get metadata() {
        handlers ??= forHandlers(text); // not every handler asks
        return handlers;
      },
    };
    this.#route.admit?.(this.#route.method.localName, callContext);
    return callContext;
  }

  #startDeadline(): number | undefined {
    const deadlineMs = Number(this.#call.getDeadline());
    if (!Number.isFinite(deadlineMs)) return undefined;
    // grpc-js has its own timer, but tells of it only once a peer that may not be reading has taken the trailers.
    this.#deadline = this.#host.clock.setTimer(deadlineMs - this.#host.clock.nowMs(), () =>
      this.#fail(deadlinePassed()),
    );
    return deadlineMs;
  }

  async #serve(callContext: CallContext): Promise<void> {
    const { method, handler } = this.#route;
    const streamsIn = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
    const streamsOut = method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming';
    // Headers at once: the caller of a stream learns that it was accepted before the first response.
    if (streamsOut) this.#call.sendMetadata(new Metadata());
    this.#requests.fill();
    const output = handler(streamsIn ? this.#requests : await this.#onlyRequest(), callContext);
    if (streamsOut) await this.#stream(output as AsyncIterable<object>);
    else this.#send(await (output as Promise<object>));
    this.#succeed();
  }

  async #onlyRequest(): Promise<Message> {
    const first = await this.#requests.next();
    if (!first.done) return first.value;
    throw new Failure('INVALID_ARGUMENT', 'the call carried no request', { reason: 'REQUEST_MISSING' });
  }

  async #stream(responses: AsyncIterable<object>): Promise<void> {
    if (responses instanceof Outbox) {
      const close = () => responses[CLOSE](this.#abort.signal.reason as Failure);
      this.#abort.signal.addEventListener('abort', close, { once: true });
      return responses[ATTACH]({ send: (message) => this.#send(message), ready: () => this.#responses.ready() });
    }
    for await (const response of responses) if (!this.#send(response)) await this.#responses.ready();
  }

  #send(response: object): boolean {
    if (this.#ended) return false;
    return this.#responses.send(encodeMessage(this.#route.method.output, response, this.#host.messageBytesMax));
  }

  #receive(bytes: Buffer): void {
    try {
      this.#requests.push(decodeMessage(this.#route.method.input, bytes, 'INVALID_ARGUMENT'), bytes.length);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #succeed(): void {
    if (this.#ended) return;
    this.#call.sendStatus({ code: 0, details: 'OK', metadata: null });
    this.#end(undefined);
  }

  #fail(thrown: unknown): void {
    if (this.#ended) return;
    const failure = Failure.from(thrown);
    this.#call.sendStatus(statusFromFailure(failure));
    this.#end(failure);
  }

  /** grpc-js says "cancel" once for every call, also after its status has left. */
  #cancelled(): void {
    this.#host.closed(this);
    if (this.#ended) return;
    // Timers may fire a millisecond before the wall clock says so.
    const late = this.#host.clock.nowMs() + 1 >= Number(this.#call.getDeadline());
    this.#end(late ? deadlinePassed() : callerLeft());
  }

  #end(failure: Failure | undefined): void {
    this.#ended = true;
    this.#deadline?.cancel();
    const over = failure ?? CALL_OVER;
    this.#requests.fail(over);
    this.#responses.close(over);
    if (failure !== undefined) this.#abort.abort(failure);
    if (this.#span !== undefined) this.#host.report.end(this.#route, this.#span, this.#peer, failure);
  }
}

function deadlinePassed(): Failure {
  return new Failure('DEADLINE_EXCEEDED', 'the deadline passed', { reason: 'DEADLINE_EXCEEDED' });
}

function callerLeft(): Failure {
  return new Failure('CANCELLED', 'the caller cancelled the call or went away', { reason: 'CALLER_LEFT' });
}
