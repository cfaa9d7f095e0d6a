import type { DescService } from '@bufbuild/protobuf';
import { Server, ServerCredentials, ServerInterceptingCall, type ServiceDefinition } from '@grpc/grpc-js';
import { assert, Failure } from '@meridian/failure';
import type { Clock, Logger } from '@meridian/runtime';
import type { Tracer } from '@opentelemetry/api';
import { HealthImplementation } from 'grpc-health-check';
import { KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS, STREAMS_PER_CONNECTION_MAX } from './call-limits.ts';
import { MESSAGE_BYTES_MAX } from './message-codec.ts';
import { addReflection } from './reflection.ts';
import { type Admit, type AllowList, type AnyHandler, type Route, routesOf } from './route.ts';
import { ServerCall, type ServerCallHost } from './server-call.ts';
import { CallReport } from './server-report.ts';
import type { ServiceHandlers } from './service-types.ts';
import type { TlsFiles } from './tls.ts';
import { prepareServerSessions } from './window.ts';

/** Time for the last bytes to leave before connections are destroyed. */
const FLUSH_MS = 500;

export interface RpcServerOptions {
  readonly tls: TlsFiles;
  /** What a peer may have in flight to us, per stream and per connection: {@link windowBytes} of the longest link. */
  readonly windowBytes: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly messageBytesMax?: number;
  readonly keepaliveTimeMs?: number;
  readonly keepaliveTimeoutMs?: number;
}

/**
 * A gRPC server behind mutual TLS, with health and reflection.
 *
 * 1. A connection without a certificate of our authority ends in the handshake.
 * 2. A method answers only the roles that its service's allow-list names.
 * 3. Services are added before the server listens; it listens once.
 * 4. `admit` of a service sees a call after its role was found good, and before any of its messages is read.
 * 5. While it drains it reports NOT_SERVING, and no connection or call is taken.
 */
export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #routes = new Map<string, Route>();
  readonly #services: DescService[] = [];
  readonly #calls = new Set<ServerCall>();
  readonly #health = new HealthImplementation();
  readonly #server: Server;
  #restoreWindows: (() => void) | undefined;
  #idle: (() => void) | undefined;
  #stopped: Promise<void> | undefined;
  #serving = true;
  #draining = false;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    const messageBytesMax = options.messageBytesMax ?? MESSAGE_BYTES_MAX;
    const host: ServerCallHost = {
      clock: options.clock,
      messageBytesMax,
      draining: () => this.#draining,
      report: new CallReport(options.logger, options.tracer),
      opened: (call) => void this.#calls.add(call),
      closed: (call) => this.#closed(call),
    };
    this.#server = new Server({
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION_MAX,
      'grpc.keepalive_time_ms': options.keepaliveTimeMs ?? KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs ?? KEEPALIVE_TIMEOUT_MS,
      'grpc.enable_channelz': 0,
      interceptors: [
        (method, call) => {
          const route = this.#routes.get(method.path);
          if (route === undefined) return new ServerInterceptingCall(call); // health and reflection
          return new ServerInterceptingCall(call, { start: () => new ServerCall(call, route, host).start() });
        },
      ],
    });
  }

  /** Adds a service. Methods that `allow` does not cover answer PERMISSION_DENIED to everybody. */
  addService<S extends DescService>(service: S, allow: AllowList, handlers: ServiceHandlers<S>, admit?: Admit): void {
    assert(this.#restoreWindows === undefined, 'services are added before the server listens');
    const routes = routesOf(service, allow, handlers as unknown as Record<string, AnyHandler>, admit);
    for (const route of routes) this.#routes.set(route.path, route);
    this.#services.push(service);
    this.#server.addService(definitionOf(routes), {}); // the interceptor answers
  }

  /**
   * @returns the port, which the system chooses when `hostPort` ends in `:0`.
   * @throws Failure UNAVAILABLE / LISTEN_FAILED. Retryable, by a new server.
   */
  async listen(hostPort: string): Promise<number> {
    assert(this.#restoreWindows === undefined, 'a server listens once');
    this.#health.addToServer(this.#server);
    addReflection(this.#server, this.#services);
    const { ca, cert, key } = this.#options.tls;
    const credentials = ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], true);
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(hostPort, credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
    }).catch((cause) => {
      throw new Failure('UNAVAILABLE', `cannot listen on ${hostPort}`, { reason: 'LISTEN_FAILED', cause });
    });
    this.#restoreWindows = prepareServerSessions(port, this.#options.windowBytes);
    this.setServing(this.#serving);
    return port;
  }

  /** What health checks answer, for the server and each of its services. True from the start. */
  setServing(serving: boolean): void {
    this.#serving = serving;
    const status = serving && !this.#draining ? 'SERVING' : 'NOT_SERVING';
    for (const name of ['', ...this.#services.map((service) => service.typeName)]) this.#health.setStatus(name, status);
  }

  /**
   * Takes no more connections or calls, lets the open ones finish, and closes when they have or after `graceMs`.
   * Handlers of endless streams hear of it by `context.draining`.
   */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    this.setServing(false);
    for (const call of this.#calls) call.drain();
    const stopped = this.#stop();
    if (this.#calls.size > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      await this.#within(graceMs, idle);
    }
    // Connections close by themselves when their last call has; only health watches hold on for ever.
    await this.#within(FLUSH_MS, stopped);
    await this.close();
  }

  /** Ends every call and connection at once. Idempotent. */
  async close(): Promise<void> {
    this.#draining = true;
    const stopped = this.#stop();
    this.#server.forceShutdown();
    this.#restoreWindows?.();
    await stopped;
  }

  #stop(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => this.#server.tryShutdown(() => resolve()));
    return this.#stopped;
  }

  async #within(limitMs: number, event: Promise<void>): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const timer = this.#options.clock.setTimer(limitMs, limit.resolve);
    await Promise.race([event, limit.promise]);
    timer.cancel();
  }

  #closed(call: ServerCall): void {
    this.#calls.delete(call);
    if (this.#calls.size === 0) this.#idle?.();
  }
}

function definitionOf(routes: readonly Route[]): ServiceDefinition {
  const same = (bytes: Buffer) => bytes; // messages are encoded by the call, which counts their bytes
  const entries = routes.map(({ method, path }) => [
    method.name,
    {
      path,
      requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
      responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  ]);
  return Object.fromEntries(entries);
}
