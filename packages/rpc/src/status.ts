import { status as GrpcStatus, Metadata } from '@grpc/grpc-js';
import { CODES, type Code, Failure } from '@meridian/failure';
import { decodeStatusDetails, encodeStatusDetails } from './status-details.ts';

/** What grpc-js sends as the end of a call. */
export interface CallStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

const DETAILS_KEY = 'grpc-status-details-bin';
const DOMAIN = 'meridian';
/** Key of ErrorInfo.metadata for a failure whose retryability is not its code's. */
const RETRYABLE_KEY = 'retryable';
/** Trailers are headers: peers refuse long ones, and a message for people is short. */
const MESSAGE_CHARS_MAX = 1024;
const REASON_CHARS_MAX = 63;
const DETAILS_MAX = 16;
const DETAIL_KEY_CHARS_MAX = 64;
const DETAIL_VALUE_CHARS_MAX = 256;

/** Codes of foreign servers that our closed set does not have. */
const FOREIGN_CODES: Readonly<Record<number, Code>> = {
  [GrpcStatus.UNKNOWN]: 'INTERNAL',
  [GrpcStatus.OUT_OF_RANGE]: 'INVALID_ARGUMENT',
  [GrpcStatus.UNIMPLEMENTED]: 'FAILED_PRECONDITION',
};

/**
 * Our servers send details with every failure of theirs. INTERNAL without them is a connection that broke in a way
 * grpc-js has no name for (EPIPE, a reset without a status, a stream on a closing session).
 */
const TRANSPORT_INTERNAL: Code = 'UNAVAILABLE';

/** A status without our details comes from the transport: its text has addresses and must not travel on. */
const TRANSPORT_MESSAGES: Partial<Record<Code, string>> = {
  CANCELLED: 'the call was cancelled',
  DEADLINE_EXCEEDED: 'the deadline passed before the answer came',
  FAILED_PRECONDITION: 'the peer does not offer this method',
  RESOURCE_EXHAUSTED: 'the peer refused a message as too large, or was out of room',
  UNAVAILABLE: 'the peer could not be reached, or the connection was lost',
};

const CODE_OF_STATUS = new Map<number, Code>(
  Object.entries(CODES).map(([code, { grpcStatus }]) => [grpcStatus, code as Code]),
);

/** A failure as the end of a call, with google.rpc.Status in `grpc-status-details-bin`. The cause stays here. */
export function statusFromFailure(failure: Failure): CallStatus {
  const code = CODES[failure.code].grpcStatus;
  // Unpaired surrogates would make the percent-encoding of the message throw.
  const message = failure.message.slice(0, MESSAGE_CHARS_MAX).toWellFormed();
  const bytes = encodeStatusDetails({
    code,
    message,
    reason: failure.reason.slice(0, REASON_CHARS_MAX).toWellFormed(),
    domain: DOMAIN,
    metadata: errorMetadata(failure),
    retryDelayMs: failure.retryDelayMs,
  });
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(bytes));
  return { code, details: message, metadata };
}

/** Whatever a call threw or ended with, as a failure. One of our own servers' comes back as it was, cause excepted. */
export function failureFromStatus(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (!isStatus(thrown)) return Failure.from(thrown);
  const details = detailsOf(thrown);
  if (details === undefined || details.domain !== DOMAIN) return transportFailure(thrown);
  const code = codeOf(thrown);
  const { [RETRYABLE_KEY]: retryable, ...rest } = details.metadata;
  return new Failure(code, details.message, {
    reason: details.reason,
    details: rest,
    ...(retryable !== undefined && { retryable: retryable === 'true' }),
    ...(details.retryDelayMs !== undefined && { retryDelayMs: details.retryDelayMs }),
  });
}

function codeOf(status: { readonly code: number }): Code {
  return CODE_OF_STATUS.get(status.code) ?? FOREIGN_CODES[status.code] ?? 'INTERNAL';
}

function transportFailure(status: { readonly code: number }): Failure {
  const code = status.code === GrpcStatus.INTERNAL ? TRANSPORT_INTERNAL : codeOf(status);
  const message = TRANSPORT_MESSAGES[code] ?? 'the peer failed';
  const unimplemented = status.code === GrpcStatus.UNIMPLEMENTED;
  return new Failure(code, message, { cause: status, ...(unimplemented && { reason: 'UNIMPLEMENTED' }) });
}

function errorMetadata(failure: Failure): Record<string, string> {
  const entries = Object.entries(failure.details)
    .slice(0, DETAILS_MAX)
    .map(([key, value]) => [
      key.slice(0, DETAIL_KEY_CHARS_MAX).toWellFormed(),
      value.slice(0, DETAIL_VALUE_CHARS_MAX).toWellFormed(),
    ]);
  const own = failure.retryable !== CODES[failure.code].retryable;
  return { ...Object.fromEntries(entries), ...(own && { [RETRYABLE_KEY]: String(failure.retryable) }) };
}

function detailsOf(status: { readonly metadata?: unknown }) {
  if (!(status.metadata instanceof Metadata)) return undefined;
  const value = status.metadata.get(DETAILS_KEY)[0];
  return value instanceof Uint8Array ? decodeStatusDetails(value) : undefined;
}

function isStatus(value: unknown): value is { readonly code: number; readonly metadata?: unknown } {
  return typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'number';
}
