import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { Context } from '@opentelemetry/api';
import type { Cause } from './cause.ts';
import type { Peer } from './peer.ts';

/** What a handler knows of its call. */
export interface CallContext {
  readonly peer: Peer;
  /** Absolute wall time, ms since 1970; hand it to the calls made on behalf of this one. */
  readonly deadlineMs: number | undefined;
  /** Aborted, with a Failure as the reason, when the caller cancels, goes away, or the deadline passes. */
  readonly signal: AbortSignal;
  /** Aborted when the server starts to drain: end long-lived streams when it suits. */
  readonly draining: AbortSignal;
  readonly cause: Cause | undefined;
  /** Holds the span of this call: the parent of the handler's own spans and calls. */
  readonly traceContext: Context;
  /** Text metadata of the caller without what this package reads itself. */
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * One handler a method, by its name in TypeScript. A thrown Failure ends the call with it; anything else becomes
 * INTERNAL, is logged, and says nothing to the caller. A returned {@link Outbox} is the fast way to stream.
 */
export type ServiceHandlers<S extends DescService> = {
  readonly [K in keyof S['method']]: MethodHandler<S['method'][K]>;
};

export type MethodHandler<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: CallContext) => Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => Promise<MessageInitShape<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
          : never;

export interface CallOptions {
  /** Absolute wall time, ms since 1970. The earlier of the two bounds holds. */
  readonly deadlineMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  /** Cancels the call; a Failure as its reason is what the caller gets. */
  readonly signal?: AbortSignal | undefined;
  readonly cause?: Cause | undefined;
  /** Printable ASCII; names in lower case. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Its span becomes the parent of the server's. */
  readonly traceContext?: Context | undefined;
}

/**
 * One function a method. All throw Failures only, streams also at once (a closed channel, an aborted signal). Leaving the loop over a response stream cancels the call.
 * A unary call without a bound gets one of 30 s; streams have none unless asked.
 */
export type RpcClient<S extends DescService> = {
  readonly [K in keyof S['method']]: MethodCaller<S['method'][K]>;
};

export type MethodCaller<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageInitShape<I>>, options?: CallOptions) => Promise<MessageShape<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (requests: AsyncIterable<MessageInitShape<I>>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
          : never;

/** Both directions of a bidi call in the hands of one owner that writes from several places. */
export interface Duplex<Request, Response> {
  /**
   * @returns false when full (taken all the same: `await ready()` before the next) or when the call is over.
   * @throws Failure RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE. Not retryable.
   */
  send(message: Request): boolean;
  /** Resolves when there is room; rejected with the Failure that ended the call. */
  ready(): Promise<void>;
  /** No more requests; responses go on. */
  end(): void;
  cancel(): void;
  /** For one reader. Throws the Failure that ended the call, after the messages that came before it. */
  readonly messages: AsyncIterable<Response>;
}

/** Opens a bidi method as a {@link Duplex}. */
export interface DuplexOpener<S extends DescService> {
  openDuplex<K extends BidiMethods<S>>(method: K, options?: CallOptions): MethodDuplex<S['method'][K]>;
}

type BidiMethods<S extends DescService> = {
  [K in keyof S['method']]: S['method'][K] extends { readonly methodKind: 'bidi_streaming' } ? K : never;
}[keyof S['method']];

type MethodDuplex<M extends DescMethod> =
  M extends DescMethodBiDiStreaming<infer I, infer O> ? Duplex<MessageInitShape<I>, MessageShape<O>> : never;
