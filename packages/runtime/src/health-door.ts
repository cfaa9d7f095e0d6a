import { PlainDoor } from './plain-door.ts';

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
export class HealthDoor extends PlainDoor {
  /** @param problem why the process cannot do its job now; undefined when it can. Must not throw. */
  constructor(listen: string, problem: () => string | undefined) {
    super(listen, 'health', (request, response) => {
      const { status, text } = answer(request.url, problem);
      response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
    });
  }
}

function answer(url: string | undefined, problem: () => string | undefined): { status: number; text: string } {
  if (url === HEALTH_PATHS.live) return { status: 200, text: 'live' };
  if (url !== HEALTH_PATHS.ready) return { status: 404, text: 'not found' };
  const why = problem();
  return why === undefined ? { status: 200, text: 'ready' } : { status: 503, text: why };
}
