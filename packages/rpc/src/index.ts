export type { Cause } from './cause.ts';
export { Channel, type ChannelSettings, createChannel } from './channel.ts';
export { createClient } from './client.ts';
export { MESSAGE_BYTES_MAX } from './message-codec.ts';
export { Outbox } from './outbox.ts';
export type { Peer, PeerRole } from './peer.ts';
export type { AllowList } from './route.ts';
// The server itself is `@meridian/rpc/server`: who only calls others need not load reflection and health.
export type { RpcServer, RpcServerOptions } from './server.ts';
export type {
  CallContext,
  CallOptions,
  Duplex,
  DuplexOpener,
  MethodCaller,
  MethodHandler,
  RpcClient,
  ServiceHandlers,
} from './service-types.ts';
export { parseSessionToken, requireSeen, stale } from './session-token.ts';
export { withSilenceLimit } from './silence-limit.ts';
export { type CallStatus, failureFromStatus, statusFromFailure } from './status.ts';
export { loadTls, type TlsFiles } from './tls.ts';
export { WINDOW_BYTES_MAX, WINDOW_BYTES_MIN, windowBytes } from './window.ts';
