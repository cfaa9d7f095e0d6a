import { readFile } from 'node:fs/promises';
import type { PeerCertificate } from 'node:tls';
import type { Role } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { Clock, Logger } from '@meridian/runtime';
import {
  AuthorizationError,
  type ConnectionOptions,
  connect,
  type NatsConnection,
  nkeyAuthenticator,
  type TlsOptions,
} from '@nats-io/transport-node';

/** PEM texts of the authority, this service's certificate and its key. */
export interface TlsFiles {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface NatsDialOptions {
  /** `tls://host:port`; `nats://` only without TLS (tests). Several, separated by commas, are one region's brokers. */
  readonly url: string;
  /** The broker must prove to be one of this region. */
  readonly region: string;
  /** Decides the inbox prefix `_INBOX_<role>`, to which the broker's permissions are bound. */
  readonly role: Role;
  /** Shown in the broker's connection list. */
  readonly name: string;
  /** File with the nkey seed. */
  readonly seedFile?: string;
  readonly tls?: TlsFiles;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The first connection is tried this long. Default 15 s. */
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 15_000;
/** One attempt: TCP, TLS, authentication. */
const ATTEMPT_TIMEOUT_MS = 3000;
const RETRY_MS = 200;
/** Two missed pings: a dead connection is noticed within 6 s. The broker's death shows at once. */
const PING_INTERVAL_MS = 2000;
const PINGS_OUT_MAX = 2;
const SERVER_NAME = 'meridian';

/**
 * Connects, and goes on trying until the deadline; a later loss is repaired by the client without limit.
 * @throws Failure UNAUTHENTICATED when the broker refuses the key, UNAVAILABLE / BROKER_UNREACHABLE after the deadline.
 */
export async function dialNats(options: NatsDialOptions): Promise<NatsConnection> {
  const { clock } = options;
  const seed = options.seedFile === undefined ? undefined : (await readFile(options.seedFile, 'utf8')).trim();
  const connection = connectionOptions(options, seed);
  const deadlineMs = clock.monotonicMs() + (options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS);
  for (let attempt = 1; ; attempt++) {
    try {
      return await connect(connection);
    } catch (thrown) {
      if (thrown instanceof AuthorizationError)
        throw new Failure('UNAUTHENTICATED', `the broker refuses the key of role ${options.role}`, { cause: thrown });
      if (clock.monotonicMs() + RETRY_MS >= deadlineMs)
        throw new Failure('UNAVAILABLE', `no broker answers at ${options.url}`, {
          reason: 'BROKER_UNREACHABLE',
          cause: thrown,
        });
      if (attempt === 1) options.logger.info({ url: options.url, err: thrown }, 'waiting for the broker');
      await clock.sleep(RETRY_MS);
    }
  }
}

function connectionOptions(options: NatsDialOptions, seed: string | undefined): ConnectionOptions {
  return {
    servers: options.url.split(','),
    name: options.name,
    inboxPrefix: `_INBOX_${options.role}`,
    timeout: ATTEMPT_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY_MS,
    reconnectJitter: RETRY_MS,
    reconnectJitterTLS: RETRY_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: PINGS_OUT_MAX,
    // Addresses that the broker gossips may not be reachable from here; the configured ones are.
    ignoreClusterUpdates: true,
    // A broker that restarts with a bad configuration refuses everyone for a while: keep trying.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(seed !== undefined && { authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) }),
    ...(options.tls !== undefined && { tls: tlsOptions(options.tls, options.region) }),
  };
}

/** What the client passes on to `tls.connect`; its own type names only the files. */
type NodeTlsOptions = TlsOptions & {
  servername: string;
  checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined;
};

function tlsOptions(files: TlsFiles, region: string): NodeTlsOptions {
  return {
    ca: files.ca.toString(),
    cert: files.cert.toString(),
    key: files.key.toString(),
    servername: SERVER_NAME,
    checkServerIdentity: (_host, certificate) => brokerIdentityProblem(certificate.subjectaltname ?? '', region),
  };
}

/** Every certificate of the installation has the same DNS name: only the URI tells a broker from a worker. */
export function brokerIdentityProblem(subjectAltName: string, region: string): Error | undefined {
  const prefix = `URI:spiffe://meridian/${region}/broker/`;
  if (subjectAltName.split(', ').some((name) => name.startsWith(prefix))) return undefined;
  return new Error(`the server's certificate does not name a broker of ${region}`);
}
