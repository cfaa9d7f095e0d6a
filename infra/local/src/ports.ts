import { randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';

/**
 * Free loopback ports by name, kept in a file so that a second start, and a region that restarts, finds its own again.
 *
 * 1. A name keeps its port for as long as the port is free at start.
 * 2. No port is given to two names.
 */
export class PortBook {
  readonly #file: string;
  readonly #ports: Map<string, number>;

  private constructor(file: string, ports: Map<string, number>) {
    this.#file = file;
    this.#ports = ports;
  }

  static async open(file: string): Promise<PortBook> {
    const text = await readFile(file, 'utf8').catch(() => '{}');
    const stored: unknown = JSON.parse(text);
    const ports = new Map<string, number>();
    for (const [name, port] of Object.entries(stored ?? {})) if (Number.isInteger(port)) ports.set(name, Number(port));
    return new PortBook(file, ports);
  }

  /** Makes sure that every name has a port that can be listened on now. */
  async reserve(names: readonly string[]): Promise<(name: string) => number> {
    const taken = new Set<number>();
    for (const name of names) {
      const stored = this.#ports.get(name);
      const usable = stored !== undefined && !taken.has(stored) && (await isFree(stored));
      const port = usable ? stored : await freePort(taken);
      this.#ports.set(name, port);
      taken.add(port);
    }
    await writeFile(this.#file, `${JSON.stringify(Object.fromEntries(this.#ports), null, 2)}\n`);
    return (name) => {
      const port = this.#ports.get(name);
      if (port === undefined) throw new RangeError(`no port was reserved for ${name}`);
      return port;
    };
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/**
 * Below the ports that Linux, macOS and Windows give to outgoing connections: one of those can take the port of a process
 * that is down for a moment, and a client that goes on dialling a dead port there can even connect to itself.
 */
const PORTS_FROM = 20_000;
const PORTS_BELOW = 32_768;

/** Each process goes through the ports from a place of its own: two that start at once seldom want the same ones. */
let next = randomInt(PORTS_FROM, PORTS_BELOW);

/** A loopback port on which nobody listens now. */
export async function freePort(taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (;;) {
    const port = next;
    next = port + 1 < PORTS_BELOW ? port + 1 : PORTS_FROM;
    if (!taken.has(port) && (await isFree(port))) return port;
  }
}
