/**
 * The closed set of failure codes. Names are gRPC's (google.rpc.Code), so the edge to gRPC is a table look-up;
 * retryability decides the disposition of a NATS message (`nak` or `term`).
 *
 * | retryable | meaning for the caller |
 * |---|---|
 * | yes | the same request may succeed later or elsewhere |
 * | no  | the same request will fail again: change it first |
 */
export const CODES = {
  CANCELLED: { grpcStatus: 1, retryable: false },
  INVALID_ARGUMENT: { grpcStatus: 3, retryable: false },
  DEADLINE_EXCEEDED: { grpcStatus: 4, retryable: false },
  NOT_FOUND: { grpcStatus: 5, retryable: false },
  ALREADY_EXISTS: { grpcStatus: 6, retryable: false },
  PERMISSION_DENIED: { grpcStatus: 7, retryable: false },
  RESOURCE_EXHAUSTED: { grpcStatus: 8, retryable: true },
  FAILED_PRECONDITION: { grpcStatus: 9, retryable: false },
  ABORTED: { grpcStatus: 10, retryable: true },
  INTERNAL: { grpcStatus: 13, retryable: false },
  UNAVAILABLE: { grpcStatus: 14, retryable: true },
  DATA_LOSS: { grpcStatus: 15, retryable: false },
  UNAUTHENTICATED: { grpcStatus: 16, retryable: false },
} as const;

export type Code = keyof typeof CODES;

export function isCode(text: string): text is Code {
  return Object.hasOwn(CODES, text);
}
