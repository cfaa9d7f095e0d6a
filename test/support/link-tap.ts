import { readFile } from 'node:fs/promises';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer, TLSSocket } from 'node:tls';
import type { Detour, Way } from '@meridian/local';

/** What was said on one connection in one direction, as it was inside TLS. */
export interface Heard {
  readonly way: Way;
  readonly direction: 'to' | 'from';
  readonly chunks: Buffer[];
}

interface Identity {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * Reads all that passes between regions, inside TLS: it stands before each door with the door's own key, and goes on to it
 * with the key of the process that dials. That needs every region's keys, which a local run has in one folder.
 *
 * 1. Nothing passes between regions but through one of its relays.
 * 2. Bytes are passed on as they came, in order; a side that ends ends the other one.
 */
export class LinkTap {
  readonly heard: Heard[] = [];
  readonly #certificates: string;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  /** @param certificates folder of the installation */
  constructor(certificates: string) {
    this.#certificates = certificates;
  }

  readonly detour: Detour = async (way, doorPort) => {
    const { viewer, target, door } = way;
    const [dials, answers] = door === 'leaf' ? ['broker', 'broker'] : ['worker', 'scheduler'];
    const dialler = () => this.#identity(viewer, dials);
    const owner = () => this.#identity(target, answers);
    const server =
      door === 'leaf'
        ? createTcpServer((socket) => void this.#leaf(way, socket, doorPort, dialler, owner))
        : createTlsServer({ ALPNProtocols: ['h2'], ...(await grpcOptions(owner)) }, (socket) => {
            void dialler().then((identity) => {
              const options = { ALPNProtocols: ['h2'], checkServerIdentity: () => undefined };
              const up = connectTls({ port: doorPort, host: '127.0.0.1', ...identity, ...options });
              this.#join(way, socket, up);
            });
          });
    server.on('connection', (socket: Socket) => this.#keep(socket));
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#servers.push(server);
    return (server.address() as AddressInfo).port;
  };

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  /** A broker greets in plain text, then both sides go on in TLS. */
  async #leaf(
    way: Way,
    down: Socket,
    doorPort: number,
    dialler: () => Promise<Identity>,
    owner: () => Promise<Identity>,
  ): Promise<void> {
    const up = this.#keep(connectTcp(doorPort, '127.0.0.1'));
    const end = () => void [up, down].map((socket) => socket.destroy());
    for (const socket of [up, down]) socket.once('close', end);
    try {
      const greeting = await firstLine(up);
      const [mine, theirs] = await Promise.all([dialler(), owner()]);
      await new Promise<unknown>((resolve) => down.write(greeting, resolve));
      const behind = new TLSSocket(down, { isServer: true, requestCert: true, rejectUnauthorized: true, ...theirs });
      const ahead = connectTls({ socket: up, ...mine, checkServerIdentity: () => undefined });
      this.#join(way, behind, ahead);
    } catch {
      end();
    }
  }

  #join(way: Way, down: Socket, up: Socket): void {
    const end = () => void [up, down].map((socket) => socket.destroy());
    const relay = (from: Socket, to: Socket, direction: Heard['direction']) => {
      const chunks: Buffer[] = [];
      this.heard.push({ way, direction, chunks });
      from.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => from.resume());
      from
        .on('error', end)
        .on('close', end)
        .on('end', () => to.end());
    };
    relay(down, up, 'to');
    relay(up, down, 'from');
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
    return socket;
  }

  /** Made by the system after the relays are there. */
  async #identity(region: string, role: string): Promise<Identity> {
    const file = (name: string) => readFile(join(this.#certificates, region, role, name));
    const [ca, cert, key] = await Promise.all([file('ca.pem'), file('cert.pem'), file('key.pem')]);
    return { ca, cert, key };
  }
}

async function grpcOptions(owner: () => Promise<Identity>) {
  return { ...(await owner()), requestCert: true, rejectUnauthorized: true };
}

function firstLine(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const take = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      if (!seen.includes('\r\n')) return;
      socket.off('data', take);
      socket.pause();
      resolve(seen);
    };
    socket.on('data', take);
    socket.once('close', () => reject(new Error('closed before its greeting')));
  });
}
