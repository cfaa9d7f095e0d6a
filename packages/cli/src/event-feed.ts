import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PeerCertificate } from 'node:tls';
import { fromBinary } from '@bufbuild/protobuf';
import { decodeEnvelope, type Envelope, EVENT_TYPES, type EventData, subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { loadTls } from '@meridian/rpc';
import {
  type ConnectionOptions,
  connect,
  createInbox,
  type Msg,
  type NatsConnection,
  nkeyAuthenticator,
  type Subscription,
} from '@nats-io/transport-node';
import type { RegionDoors } from './running-system.ts';

type PublicType =
  | 'meridian.event.job-changed.v1'
  | 'meridian.event.tasks-placed.v1'
  | 'meridian.event.conflict-changed.v1';

/** A public event of a region, as consumers get it. */
export type PublicEvent = {
  readonly region: string;
  readonly subject: string;
  readonly envelope: Envelope;
} & { [T in PublicType]: { readonly type: T; readonly data: EventData<T> } }[PublicType];

export interface EventFeedOptions {
  readonly region: RegionDoors;
  readonly certificates: string;
  /** All tenants when absent. */
  readonly tenant?: string;
  /** Stored events from this wall time on; none when absent. */
  readonly sinceMs?: number;
  /** Goes on with events as they come, over lost connections, until aborted. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
  /** A message that is not what it should be: it is left out. */
  readonly onInvalid: (problem: string) => void;
}

/** Events of the last replay that may come again from the live subscription. */
const REPLAYED_IDS_MAX = 10_000;
/** Subjects of JetStream's API: the consumer role may use these two and no other. */
const CREATE = '$JS.API.CONSUMER.CREATE.EVENTS';
const NEXT = '$JS.API.CONSUMER.MSG.NEXT.EVENTS';
const API_TIMEOUT_MS = 5_000;
const BATCH = 256;
/** The consumer forgets itself: deleting it would need a permission. */
const INACTIVE_NS = 30e9;

/**
 * Reads the region's public events with the read-only `consumer` key.
 * @throws Failure UNAVAILABLE / BROKER_UNREACHABLE when not following; UNAUTHENTICATED when the key is refused.
 */
export async function* readEvents(options: EventFeedOptions): AsyncGenerator<PublicEvent> {
  const connection = await dial(options);
  const stop = () => void connection.close();
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    const filter = subject('event', {
      origin: options.region.name,
      tenant: options.tenant ?? '*',
      entity: '*',
      verb: '*',
    });
    // Subscribed before the replay, so that nothing falls between the two.
    const live = options.follow ? connection.subscribe(filter) : undefined;
    const replayed = new Set<string>();
    if (options.sinceMs !== undefined)
      for await (const message of replay(connection, filter, options.sinceMs)) {
        const event = decode(message, options);
        if (event === undefined) continue;
        remember(replayed, event.envelope.id);
        yield event;
      }
    for await (const message of live ?? []) {
      const event = decode(message, options);
      if (event !== undefined && !replayed.delete(event.envelope.id)) yield event;
    }
  } finally {
    options.signal.removeEventListener('abort', stop);
    await connection.close();
  }
}

async function dial({ region, certificates, follow, signal }: EventFeedOptions): Promise<NatsConnection> {
  const { ca, cert, key } = loadTls(join(certificates, 'client'));
  const seedFile = join(certificates, region.name, 'nkeys', 'consumer.seed');
  const seed = await readFile(seedFile, 'utf8').catch((cause) => {
    throw new Failure('FAILED_PRECONDITION', `cannot read ${seedFile}, the key for events of ${region.name}`, {
      cause,
    });
  });
  const tls = { ca: ca.toString(), cert: cert.toString(), key: key.toString(), ...brokerOf(region.name) };
  const settings: ConnectionOptions = {
    servers: region.nats,
    name: 'meridian-cli',
    inboxPrefix: '_INBOX_consumer',
    tls,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed.trim())),
    timeout: 3_000,
    reconnect: follow,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    waitOnFirstConnect: follow,
    ignoreClusterUpdates: true,
  };
  const aborted = new Promise<never>((_, reject) => {
    const cancel = () => reject(new Failure('CANCELLED', 'stopped'));
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
  });
  try {
    return await Promise.race([connect(settings), aborted]);
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    const refused = cause instanceof Error && cause.name === 'AuthorizationError';
    if (refused)
      throw new Failure('UNAUTHENTICATED', `the broker of ${region.name} refuses the key ${seedFile}`, { cause });
    throw new Failure('UNAVAILABLE', `the broker of ${region.name} does not answer at ${region.nats}`, {
      reason: 'BROKER_UNREACHABLE',
      cause,
    });
  }
}

/** For tls.connect. All certificates of an installation have one DNS name: the URI tells a broker from a worker. */
function brokerOf(region: string) {
  const wanted = `URI:spiffe://meridian/${region}/broker/`;
  return {
    servername: 'meridian',
    checkServerIdentity: (_host: string, { subjectaltname = '' }: PeerCertificate) =>
      subjectaltname.split(', ').some((name) => name.startsWith(wanted))
        ? undefined
        : new Error(`the server's certificate does not name a broker of ${region}`),
  };
}

/** All that is stored now from `sinceMs` on, through a passing consumer in the broker's memory. */
async function* replay(connection: NatsConnection, filter: string, sinceMs: number): AsyncGenerator<Msg> {
  const name = `cli_${randomUUID()}`;
  const config = {
    name,
    ack_policy: 'none',
    deliver_policy: 'by_start_time',
    opt_start_time: new Date(sinceMs).toISOString(),
    replay_policy: 'instant',
    filter_subject: filter,
    inactive_threshold: INACTIVE_NS,
    mem_storage: true,
    num_replicas: 1,
  };
  const request = JSON.stringify({ stream_name: 'EVENTS', config });
  const answer = await connection.request(`${CREATE}.${name}.${filter}`, request, { timeout: API_TIMEOUT_MS });
  const created: { num_pending?: number; error?: { description?: string } } = answer.json();
  if (created.error !== undefined)
    throw new Failure('FAILED_PRECONDITION', `the broker refuses to replay events: ${created.error.description ?? ''}`);
  const inbox = createInbox('_INBOX_consumer');
  const subscription = connection.subscribe(inbox);
  try {
    yield* pull(connection, subscription, { name, inbox, waiting: created.num_pending ?? 0 });
  } finally {
    subscription.unsubscribe();
  }
}

async function* pull(
  connection: NatsConnection,
  subscription: Subscription,
  { name, inbox, waiting }: { name: string; inbox: string; waiting: number },
): AsyncGenerator<Msg> {
  const next = () =>
    connection.publish(`${NEXT}.${name}`, JSON.stringify({ batch: BATCH, no_wait: true }), { reply: inbox });
  if (waiting === 0) return;
  next();
  let received = 0;
  for await (const message of subscription) {
    // A status: nothing is left (404), or the batch ended early (408, 409).
    if (message.headers?.code) {
      if (message.headers.code === 404 || received >= waiting) return;
      next();
      continue;
    }
    yield message;
    if (++received >= waiting) return;
    if (received % BATCH === 0) next();
  }
}

function decode(message: Msg, { region, onInvalid }: EventFeedOptions): PublicEvent | undefined {
  try {
    const envelope = decodeEnvelope((name) => message.headers?.get(name) ?? '');
    const common = { region: region.name, subject: message.subject, envelope };
    const { type } = envelope;
    if (type === 'meridian.event.job-changed.v1')
      return { ...common, type, data: fromBinary(EVENT_TYPES[type], message.data) };
    if (type === 'meridian.event.tasks-placed.v1')
      return { ...common, type, data: fromBinary(EVENT_TYPES[type], message.data) };
    if (type === 'meridian.event.conflict-changed.v1')
      return { ...common, type, data: fromBinary(EVENT_TYPES[type], message.data) };
    onInvalid(`${message.subject}: type ${type} is not a public event`);
  } catch (error) {
    onInvalid(`${message.subject}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return undefined;
}

function remember(ids: Set<string>, id: string): void {
  ids.add(id);
  for (const oldest of ids) {
    if (ids.size <= REPLAYED_IDS_MAX) return;
    ids.delete(oldest);
  }
}
