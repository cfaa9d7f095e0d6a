import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Failure } from '@meridian/failure';
import type { LinkClock } from './clock.ts';
import { Connection, SOCKET_BUFFER_BYTES } from './connection.ts';
import type { Conditions, Link } from './link.ts';

/** A route with more connections than this has a leak at one of its ends: further ones are reset. */
export const CONNECTIONS_MAX = 1024;

export interface RouteOptions extends Conditions {
  /** Unique; for people, e.g. `beijing>shanghai:grpc`. */
  readonly name: string;
  /** Dialling side, target's side. */
  readonly link: readonly [string, string];
  readonly target: { readonly host: string; readonly port: number };
  /** A free port when not given. */
  readonly listenPort?: number;
}

export interface RouteStats {
  readonly name: string;
  readonly link: readonly [string, string];
  readonly status: 'up' | 'cut' | 'blackhole';
  readonly port: number;
  readonly target: string;
  /** Bytes taken in from the dialling side, since the start. */
  readonly bytesForward: number;
  readonly bytesBack: number;
  readonly bufferedBytes: number;
  readonly connections: number;
  readonly accepted: number;
  /** Reset on arrival: the link was cut, or the route full. */
  readonly refused: number;
}

/** A listening port on 127.0.0.1 and the connections made through it. */
export class Route {
  readonly #options: RouteOptions;
  readonly #link: Link;
  readonly #clock: LinkClock;
  readonly #connections = new Set<Connection>();
  readonly #server: Server;
  #accepted = 0;
  #refused = 0;
  #endedForward = 0;
  #endedBack = 0;
  port = 0;

  constructor(options: RouteOptions, link: Link, clock: LinkClock) {
    this.#options = options;
    this.#link = link;
    this.#clock = clock;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES });
    this.#server.on('connection', (socket) => this.#accept(socket));
  }

  /** @throws Failure UNAVAILABLE / PORT_UNAVAILABLE when the port cannot be had. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) =>
        reject(
          new Failure(
            'UNAVAILABLE',
            `route ${this.#options.name} cannot listen on port ${this.#options.listenPort ?? 0}`,
            {
              reason: 'PORT_UNAVAILABLE',
              cause,
            },
          ),
        ),
      );
      this.#server.listen(this.#options.listenPort ?? 0, '127.0.0.1', resolve);
    });
    this.#server.on('error', () => {}); // accept() out of descriptors: the dialler tries again
    this.port = (this.#server.address() as AddressInfo).port;
  }

  hold(): void {
    for (const connection of this.#connections) connection.hold();
  }

  release(): void {
    for (const connection of this.#connections) connection.release();
  }

  reset(): void {
    for (const connection of this.#connections) connection.reset();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.reset();
    await closed;
  }

  stats(): RouteStats {
    const { name, link, target } = this.#options;
    let [bytesForward, bytesBack, bufferedBytes] = [this.#endedForward, this.#endedBack, 0];
    for (const connection of this.#connections) {
      bytesForward += connection.bytes[0];
      bytesBack += connection.bytes[1];
      bufferedBytes += connection.bufferedBytes;
    }
    return {
      ...{ name, link, status: this.#link.status, port: this.port, target: `${target.host}:${target.port}` },
      ...{ bytesForward, bytesBack, bufferedBytes },
      ...{ connections: this.#connections.size, accepted: this.#accepted, refused: this.#refused },
    };
  }

  /** While cut the port stays ours: a connection is taken and reset at once, so nobody else can move in. */
  #accept(accepted: Socket): void {
    if (this.#link.status === 'cut' || this.#connections.size >= CONNECTIONS_MAX) {
      this.#refused++;
      accepted.on('error', () => {});
      accepted.resetAndDestroy();
      return;
    }
    this.#accepted++;
    const { target, link: between } = this.#options;
    this.#connections.add(
      new Connection({
        ...{ accepted, target, between, link: this.#link, conditions: this.#options, clock: this.#clock },
        onClose: (connection) => {
          this.#connections.delete(connection);
          this.#endedForward += connection.bytes[0];
          this.#endedBack += connection.bytes[1];
        },
      }),
    );
  }
}
