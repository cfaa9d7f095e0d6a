/**
 * Bounds of one call, per direction. What a call can hold at most: the HTTP/2 window of its stream, plus the read-ahead
 * and one message, plus the send buffer and one message.
 */

/** Messages read ahead of a slow reader. Small ones must not cost a turn of the event loop each. */
export const READ_AHEAD_MESSAGES = 64;
/** Bytes read ahead of a slow reader; the transport's window is what keeps a long link busy, not this. */
export const READ_AHEAD_BYTES = 1024 * 1024;
/** Encoded messages that wait for the transport before `send` says false: nine pictures of 110 KB. */
export const SEND_BUFFER_BYTES = 1024 * 1024;
/** A producer that goes on after `false` for this long loses the call: room for three messages of the largest size. */
export const SEND_OVERFLOW_BYTES = 64 * 1024 * 1024;
/** A unary call whose caller named no bound: nothing waits for ever. */
export const UNARY_TIMEOUT_MS = 30_000;
/** Calls that one connection may have open; more wait at the client. */
export const STREAMS_PER_CONNECTION_MAX = 1000;
/** Silence after which a peer is asked for a sign of life, and how long it has to answer. */
export const KEEPALIVE_TIME_MS = 2000;
export const KEEPALIVE_TIMEOUT_MS = 2000;
