import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  type ChannelInterface,
  type ChannelOptions,
  connectivityState,
  credentials,
  Channel as GrpcChannel,
  status as GrpcStatus,
} from '@grpc/grpc-js';
import { Failure } from '@meridian/failure';
import { type Clock, systemClock, type Timer } from '@meridian/runtime';
import { KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS } from './call-limits.ts';
import { MESSAGE_BYTES_MAX } from './message-codec.ts';
import { type PeerRole, peerFromAlternativeNames } from './peer.ts';
import type { TlsFiles } from './tls.ts';

/** DNS name in every certificate of an installation; the URI beside it says who it is. */
const SERVER_NAME = 'meridian';
const RECONNECT_INITIAL_MS = 50;
/** grpc-js adds up to a fifth: a healed link is found within a second. */
const RECONNECT_MAX_MS = 800;
/**
 * grpc-js keeps what it may have to send again over a new connection: enough for a picture. Per waiting message it also
 * takes time in proportion to their number, so much more would cost seconds when a peer stalls under tiny messages.
 */
const RETRY_BUFFER_BYTES = 256 * 1024;
/** grpc-js waits for ever for a handshake that a black hole swallowed; three round trips of any link are far less. */
const CONNECT_TIMEOUT_MS = 5000;

export interface ChannelSettings {
  /** `host:port`. */
  readonly address: string;
  readonly tls: TlsFiles;
  /** What the server may have in flight to us: {@link windowBytes} of the link. */
  readonly windowBytes: number;
  /** DNS name that the server's certificate must have. */
  readonly serverName?: string;
  /** Roles of which the server must have one; any when absent. */
  readonly serverRoles?: readonly PeerRole[];
  readonly messageBytesMax?: number;
  readonly keepaliveTimeMs?: number;
  readonly keepaliveTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  readonly clock?: Clock;
}

export type GrpcCall = ReturnType<ChannelInterface['createCall']>;

/**
 * A connection to one server, made with the first call and made anew, with back-off of at most a second, when lost.
 *
 * 1. Calls fail with UNAVAILABLE while the server cannot be reached, and wait only while a connection is being made.
 * 2. An attempt that has not succeeded after `connectTimeoutMs` is given up, with the calls that wait for it.
 * 3. `close` ends every open call with CANCELLED.
 */
export class Channel {
  readonly address: string;
  readonly clock: Clock;
  readonly messageBytesMax: number;
  readonly #connectTimeoutMs: number;
  readonly #make: () => ChannelInterface;
  readonly #calls = new Set<GrpcCall>();
  #grpc: ChannelInterface | undefined;
  #supervision: Timer | undefined;
  #closed = false;

  constructor(settings: ChannelSettings) {
    this.address = settings.address;
    this.clock = settings.clock ?? systemClock;
    this.messageBytesMax = settings.messageBytesMax ?? MESSAGE_BYTES_MAX;
    this.#connectTimeoutMs = settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    const { ca, cert, key } = settings.tls;
    const secure = credentials.createSsl(ca, key, cert, {
      checkServerIdentity: (name, certificate) => identityProblem(name, certificate, settings.serverRoles),
    });
    this.#make = () => new GrpcChannel(settings.address, secure, grpcOptions(settings, this.messageBytesMax));
  }

  get connected(): boolean {
    return this.#grpc?.getConnectivityState(false) === connectivityState.READY;
  }

  /** @throws Failure UNAVAILABLE / CHANNEL_CLOSED after `close`. */
  open(path: string, deadlineMs: number): GrpcCall {
    if (this.#closed) throw new Failure('UNAVAILABLE', 'the channel is closed', { reason: 'CHANNEL_CLOSED' });
    this.#grpc ??= this.#make();
    const call = this.#grpc.createCall(path, deadlineMs, null, null, undefined);
    this.#calls.add(call);
    this.#supervise(this.#grpc);
    return call;
  }

  release(call: GrpcCall): void {
    this.#calls.delete(call);
  }

  close(): void {
    this.#closed = true;
    this.#supervision?.cancel();
    for (const call of this.#calls) call.cancelWithStatus(GrpcStatus.CANCELLED, 'the channel was closed');
    this.#calls.clear();
    this.#grpc?.close();
  }

  /** Watches a channel until it is connected, or idle without calls; replaces it when nothing changes for too long. */
  #supervise(grpc: ChannelInterface): void {
    if (this.#closed || this.#grpc !== grpc || this.#supervision !== undefined) return;
    const state = grpc.getConnectivityState(false);
    if (state === connectivityState.READY || (state === connectivityState.IDLE && this.#calls.size === 0)) return;
    this.#supervision = this.clock.setTimer(this.#connectTimeoutMs, () => this.#replace(grpc));
    grpc.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (this.#grpc !== grpc) return;
      this.#supervision?.cancel();
      this.#supervision = undefined;
      this.#supervise(grpc);
    });
  }

  /** The next call makes a new channel; calls that wait for this one end with UNAVAILABLE. */
  #replace(grpc: ChannelInterface): void {
    this.#supervision = undefined;
    this.#grpc = undefined;
    grpc.close();
  }
}

export function createChannel(settings: ChannelSettings): Channel {
  return new Channel(settings);
}

function grpcOptions(settings: ChannelSettings, messageBytesMax: number): ChannelOptions {
  return {
    'grpc.ssl_target_name_override': settings.serverName ?? SERVER_NAME,
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc-node.flow_control_window': settings.windowBytes,
    'grpc.keepalive_time_ms': settings.keepaliveTimeMs ?? KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': settings.keepaliveTimeoutMs ?? KEEPALIVE_TIMEOUT_MS,
    // An idle connection through a link that died must not cost the next call its deadline.
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_INITIAL_MS,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
    'grpc.per_rpc_retry_buffer_size': RETRY_BUFFER_BYTES,
    // Its own connection, so that closing one channel closes it; no proxy or retry policy from the surroundings.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_channelz': 0,
  };
}

/** Beside the name, which all certificates share, the URI must say that this is a process we meant to call. */
function identityProblem(
  name: string,
  certificate: PeerCertificate,
  roles: readonly PeerRole[] | undefined,
): Error | undefined {
  const problem = checkServerIdentity(name, certificate);
  if (problem !== undefined || roles === undefined) return problem;
  const peer = peerFromAlternativeNames(certificate.subjectaltname ?? '');
  if (peer !== undefined && roles.includes(peer.role)) return undefined;
  return new Error(`the server is ${peer?.role ?? 'unknown'}, not ${roles.join(' or ')}`);
}
