import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Failure } from '@meridian/failure';

/** Paths of the health port. Whoever starts the process asks them; deployments name them in their probes. */
export const HEALTH_PATHS = { live: '/livez', ready: '/readyz' } as const;

/**
 * Says over plain HTTP whether the process lives and can do its job. Not by gRPC's health service: that is behind mutual
 * TLS, and who asks, such as a kubelet, has no certificate.
 *
 * 1. `live` answers 200 for as long as the event loop runs: whoever ends a process that does not answer ends a hung one.
 * 2. `ready` answers 200 or 503 with the reason as text. It asks nobody: the answer is what the process knows now.
 * 3. Nothing about requests, names or versions is told: there is no password.
 */
export class HealthDoor {
  /** Resolves when the port is open. @rejects Failure UNAVAILABLE / LISTEN_FAILED when it cannot be. */
  readonly listening: Promise<void>;
  readonly #server: Server;

  /**
   * @param listen host:port; port 0 takes a free one.
   * @param problem why the process cannot do its job now; undefined when it can. Must not throw.
   */
  constructor(listen: string, problem: () => string | undefined) {
    const split = listen.lastIndexOf(':');
    const host = listen.slice(0, split).replace(/^\[|\]$/g, '');
    this.#server = createServer((request, response) => {
      const { status, text } = answer(request.url, problem);
      response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
    }).unref();
    this.listening = new Promise((resolve, reject) => {
      this.#server.once('error', (cause) =>
        reject(
          new Failure('UNAVAILABLE', `cannot listen for health on ${listen}: ${cause.message}`, {
            reason: 'LISTEN_FAILED',
            cause,
          }),
        ),
      );
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

function answer(url: string | undefined, problem: () => string | undefined): { status: number; text: string } {
  if (url === HEALTH_PATHS.live) return { status: 200, text: 'live' };
  if (url !== HEALTH_PATHS.ready) return { status: 404, text: 'not found' };
  const why = problem();
  return why === undefined ? { status: 200, text: 'ready' } : { status: 503, text: why };
}
