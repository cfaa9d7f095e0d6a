import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '@meridian/local';
import { connect, type NatsConnection } from '@nats-io/transport-node';

export interface StoredMessage {
  readonly stream: string;
  readonly subject: string;
  /** Headers and data as they are stored. */
  readonly bytes: Buffer;
}

interface StoreOptions {
  readonly natsServer: string;
  readonly region: string;
  readonly storeDirectory: string;
  readonly jetstreamKey: string;
  /** For the configuration of the broker that reads. */
  readonly directory: string;
}

const ACCOUNT = 'APP';
const NOT_FOUND = 404;
const CONNECT_TRIES = 100;
const CONNECT_WAIT_MS = 100;

/** Every message in the streams of a region that is stopped, read with its own key by a broker without links. */
export async function storedMessages(options: StoreOptions): Promise<readonly StoredMessage[]> {
  const port = await freePort();
  const file = join(options.directory, 'reader.conf');
  await writeFile(file, configuration(options, port));
  const broker = spawn(options.natsServer, ['-c', file], { stdio: 'ignore' });
  try {
    const connection = await connect({
      servers: `127.0.0.1:${port}`,
      ...{ user: 'reader', pass: 'reader', waitOnFirstConnect: true },
      ...{ maxReconnectAttempts: CONNECT_TRIES, reconnectTimeWait: CONNECT_WAIT_MS },
    });
    try {
      return await readAll(connection);
    } finally {
      await connection.close();
    }
  } finally {
    broker.kill('SIGKILL');
    await once(broker, 'exit');
  }
}

function configuration({ region, storeDirectory, jetstreamKey }: StoreOptions, port: number): string {
  return `
server_name: "${region}-1"
listen: "127.0.0.1:${port}"
max_payload: 8388608
jetstream { store_dir: "${storeDirectory}", domain: "${region}", key: "${jetstreamKey}", cipher: "aes", max_mem: 64MB, max_file: 4GB }
system_account: "SYS"
accounts {
  SYS {}
  ${ACCOUNT} { jetstream: enabled, users: [{ user: "reader", password: "reader" }] }
}
`;
}

async function readAll(connection: NatsConnection): Promise<readonly StoredMessage[]> {
  const messages: StoredMessage[] = [];
  const { streams = [] } = await ask<{ streams?: string[] }>(connection, 'STREAM.NAMES', {});
  for (const stream of streams) {
    const { state } = await ask<{ state: { first_seq: number; last_seq: number } }>(
      connection,
      `STREAM.INFO.${stream}`,
      {},
    );
    for (let seq = state.first_seq; seq <= state.last_seq && state.last_seq > 0; seq++) {
      const { message } = await ask<{ message?: { subject: string; hdrs?: string; data?: string } }>(
        connection,
        `STREAM.MSG.GET.${stream}`,
        { seq },
      );
      if (message === undefined) continue;
      const parts = [message.hdrs, message.data].map((text) => Buffer.from(text ?? '', 'base64'));
      messages.push({ stream, subject: message.subject, bytes: Buffer.concat(parts) });
    }
  }
  return messages;
}

async function ask<T>(connection: NatsConnection, verb: string, question: object): Promise<T> {
  const answer = await connection.request(`$JS.API.${verb}`, JSON.stringify(question), { timeout: 10_000 });
  const body = answer.json<T & { error?: { code: number; description: string } }>();
  if (body.error !== undefined && body.error.code !== NOT_FOUND) throw new Error(`${verb}: ${body.error.description}`);
  return body;
}
