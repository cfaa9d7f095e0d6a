import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import path from 'node:path';
import type { Role } from '@meridian/contracts';
import { connect, type NatsConnection, nkeyAuthenticator, PermissionViolationError } from '@nats-io/transport-node';
import type { RegionBroker } from './region-brokers.ts';

export interface RawConnection {
  readonly connection: NatsConnection;
  /** Runs it, then lists what the broker refused, such as `publish meridian.x`. */
  refusals(act: (connection: NatsConnection) => void): Promise<string[]>;
}

/** Certificate folder that a role's process is given. */
function certificateFolder(broker: RegionBroker, role: Role): string {
  const folders = broker.credentials.certificates;
  return role === 'consumer' || role === 'auditor' ? folders.worker : folders[role];
}

/** A connection of the NATS client itself, with the credentials of the role and nothing of ours between. */
export async function connectRaw(broker: RegionBroker, role: Role): Promise<RawConnection> {
  const seed = await readFile(broker.credentials.seedFiles[role]);
  const folder = certificateFolder(broker, role);
  const pem = (name: string) => path.join(folder, `${name}.pem`);
  const connection = await connect({
    servers: broker.clientUrl,
    authenticator: nkeyAuthenticator(seed),
    tls: { caFile: pem('ca'), certFile: pem('cert'), keyFile: pem('key') },
    inboxPrefix: `_INBOX_${role}`,
    ignoreClusterUpdates: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
  const refused = watchRefusals(connection);
  const refusals = async (act: (connection: NatsConnection) => void): Promise<string[]> => {
    const before = refused.length;
    act(connection);
    await connection.flush(); // the broker answers in order: its refusals are here when the pong is
    await new Promise((tick) => setImmediate(tick)); // and the watcher has had its turn
    return refused.slice(before);
  };
  return { connection, refusals };
}

/** Grows as the broker refuses. */
function watchRefusals(connection: NatsConnection): string[] {
  const refused: string[] = [];
  void (async () => {
    for await (const status of connection.status())
      if (status.type === 'error' && status.error instanceof PermissionViolationError)
        refused.push(`${status.error.operation} ${status.error.subject}`);
  })();
  return refused;
}

/** First line that a broker sends, before TLS, and what it says to `send`, until it closes. */
export async function plaintext(port: number, send: string): Promise<{ greeting: string; answer: string }> {
  const socket: Socket = connectTcp(port, '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    if (text === '') socket.write(send);
    text += chunk.toString();
  });
  await closed;
  const [greeting = '', ...rest] = text.split('\r\n');
  return { greeting, answer: rest.join('\r\n') };
}
