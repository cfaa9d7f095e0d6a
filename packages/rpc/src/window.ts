import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { TLSSocket } from 'node:tls';

/** Two pictures in flight; below that even a link without delay would wait for window updates. */
export const WINDOW_BYTES_MIN = 256 * 1024;
/** What a peer that never reads can make us hold, per stream. 8 MiB at 100 ms carries 40 MB/s. */
export const WINDOW_BYTES_MAX = 8 * 1024 * 1024;

const BYTES_PER_MS_OF_MBPS = 125;

/**
 * HTTP/2 window for a link, in bytes. Node's window updates are late by one round trip, so throughput is about
 * window ÷ (2 × round trip): the product of delay and bandwidth, twice, within the two limits.
 */
export function windowBytes(roundTripMs: number, bandwidthMbps: number): number {
  const wanted = 2 * roundTripMs * bandwidthMbps * BYTES_PER_MS_OF_MBPS;
  return Math.round(Math.min(Math.max(wanted, WINDOW_BYTES_MIN), WINDOW_BYTES_MAX));
}

const STREAM_CREATED = 'http2.server.stream.created';

/**
 * Gives every session that a gRPC server accepts on `port` the window. grpc-js has an option for what a client
 * receives and none for what a server receives: without this, 110 KB pictures pass at 7 per second over 50 ms.
 * Node announces each stream before its first event; the first one of a session sets both windows, the stream's and
 * the connection's. They apply one round trip later.
 *
 * It also keeps the peer's certificate with the session: grpc-js asks for it with every call, and OpenSSL makes it anew
 * each time, which costs as much as the rest of a small call's authorisation. A connection's certificate is that of its
 * handshake.
 * @returns undoes it for sessions to come.
 */
export function prepareServerSessions(port: number, bytes: number): () => void {
  const done = new WeakSet<ServerHttp2Session>();
  const onStream = (message: unknown) => {
    const session = (message as { stream: ServerHttp2Stream }).stream.session as ServerHttp2Session | undefined;
    if (session === undefined || done.has(session) || session.destroyed) return;
    if (session.socket.localPort !== port) return;
    done.add(session);
    session.settings({ initialWindowSize: bytes });
    session.setLocalWindowSize(bytes);
    keepCertificate(session);
  };
  subscribe(STREAM_CREATED, onStream);
  return () => void unsubscribe(STREAM_CREATED, onStream);
}

function keepCertificate({ socket }: ServerHttp2Session): void {
  if (!(socket instanceof TLSSocket)) return;
  const certificate = socket.getPeerCertificate();
  socket.getPeerCertificate = (() => certificate) as TLSSocket['getPeerCertificate'];
}
