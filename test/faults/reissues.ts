import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { TasksPlacedSchema } from '@meridian/contracts/event';
import type { LocalSystem } from '@meridian/local';
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, nkeyAuthenticator } from '@nats-io/transport-node';

export interface Reissue {
  readonly taskId: string;
  readonly atMs: number;
  readonly reason: string;
}

const FETCH = 500;

/** All re-placements that a region has announced, read as any consumer of public events reads them. */
export async function reissuesOf(system: LocalSystem, region: string): Promise<readonly Reissue[]> {
  const credentials = system.installation.regions[region];
  if (credentials === undefined) throw new RangeError(region);
  const file = (name: string): string => join(system.installation.client, name);
  const connection = await connect({
    servers: system.natsUrl(region),
    authenticator: nkeyAuthenticator(await readFile(credentials.seedFiles.consumer)),
    tls: { caFile: file('ca.pem'), certFile: file('cert.pem'), keyFile: file('key.pem') },
    inboxPrefix: '_INBOX_consumer',
    ignoreClusterUpdates: true,
  });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const { name } = await manager.consumers.add('EVENTS', {
      name: `faults-${process.hrtime.bigint()}`,
      filter_subject: `meridian.${region}.event.*.job.re-placed`,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      inactive_threshold: 10_000_000_000,
    });
    const consumer = await jetstream(connection, { checkAPI: false }).consumers.get('EVENTS', name);
    const found: Reissue[] = [];
    for (;;) {
      let count = 0;
      for await (const message of await consumer.fetch({ max_messages: FETCH, expires: 1000 })) {
        count += 1;
        const atMs = Date.parse(message.headers?.get('ce-time') ?? '');
        for (const { taskId, reason } of fromBinary(TasksPlacedSchema, message.data).placements)
          found.push({ taskId, reason, atMs });
        message.ack();
      }
      if (count < FETCH) return found;
    }
  } finally {
    await connection.close();
  }
}
