import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Failure } from '@meridian/failure';

/** A port for plain HTTP inside of the cluster: who asks has no certificate. It keeps no process alive. */
export class PlainDoor {
  /** Resolves when the port is open. @rejects Failure UNAVAILABLE / LISTEN_FAILED when it cannot be. */
  readonly listening: Promise<void>;
  readonly #server: Server;

  /**
   * @param listen host:port; port 0 takes a free one.
   * @param purpose for the failure.
   */
  constructor(listen: string, purpose: string, answer: RequestListener) {
    const split = listen.lastIndexOf(':');
    const host = listen.slice(0, split).replace(/^\[|\]$/g, '');
    this.#server = createServer(answer).unref();
    this.listening = new Promise((resolve, reject) => {
      this.#server.once('error', (cause) => {
        const message = `cannot listen for ${purpose} on ${listen}: ${cause.message}`;
        reject(new Failure('UNAVAILABLE', message, { reason: 'LISTEN_FAILED', cause }));
      });
      this.#server.listen({ host, port: Number(listen.slice(split + 1)) }, resolve);
    });
    // Whoever awaits `listening` sees the failure; nobody else must die of it.
    this.listening.catch(() => undefined);
  }

  /** Known once `listening` has resolved. */
  get port(): number | undefined {
    return (this.#server.address() as AddressInfo | null)?.port;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => void this.#server.close(() => resolve()));
  }
}
