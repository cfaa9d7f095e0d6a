import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalSystem } from '@meridian/local';
import { linkAuditor } from '@meridian/nats-config';
import {
  type Authenticator,
  connect,
  type MsgHdrs,
  type NatsConnection,
  nkeyAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';

/** The auditor's key in a region's own account. The system was started with an auditor. */
export async function auditorOf(system: LocalSystem, region: string): Promise<Authenticator> {
  const seedFiles = system.installation.regions[region]?.seedFiles;
  if (seedFiles === undefined) throw new RangeError(region);
  return nkeyAuthenticator(await readFile(seedFiles.auditor));
}

export function connectAuditor(
  system: LocalSystem,
  region: string,
  authenticator: Authenticator,
): Promise<NatsConnection> {
  const file = (name: string): string => join(system.installation.client, name);
  return connect({
    servers: system.natsUrl(region),
    authenticator,
    tls: { caFile: file('ca.pem'), certFile: file('cert.pem'), keyFile: file('key.pem') },
    ignoreClusterUpdates: true,
  });
}

/** A message as it passed through an account, by someone who may read everything. */
export interface Captured {
  readonly region: string;
  readonly account: string;
  readonly subject: string;
  readonly header: (name: string) => string;
  readonly bytes: number;
}

/** Reads `>` in every account of every region of a system that was started with an auditor. */
export class Capture {
  readonly messages: Captured[] = [];
  readonly #connections: NatsConnection[] = [];

  static async start(system: LocalSystem): Promise<Capture> {
    const capture = new Capture();
    for (const name of system.regions.keys()) {
      const credentials = system.installation.regions[name];
      if (credentials === undefined) throw new RangeError(name);
      await capture.#listen(system, name, 'APP', await auditorOf(system, name));
      for (const [peer, link] of Object.entries(credentials.links))
        await capture.#listen(
          system,
          name,
          `L_${peer}`,
          usernamePasswordAuthenticator(linkAuditor(peer), link.password),
        );
    }
    return capture;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  async #listen(system: LocalSystem, region: string, account: string, authenticator: Authenticator): Promise<void> {
    const connection = await connectAuditor(system, region, authenticator);
    this.#connections.push(connection);
    connection.subscribe('>', {
      callback: (error, message) => {
        if (error !== null) return;
        const headers: MsgHdrs | undefined = message.headers;
        this.messages.push({
          region,
          account,
          subject: message.subject,
          header: (name) => headers?.get(name) ?? '',
          bytes: message.data.length,
        });
      },
    });
    await connection.flush();
  }
}
