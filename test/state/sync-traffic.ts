import { fromBinary } from '@bufbuild/protobuf';
import { FetchResponseSchema } from '@meridian/contracts/state';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { connectRaw } from '../support/raw-nats.ts';
import type { RegionBroker } from '../support/region-brokers.ts';

const ANSWER = 'meridian.state.fetched.v1';

/** What the sync services of all regions say to each other, read at their brokers with an auditor's key. */
export class SyncTraffic {
  heads = 0;
  deltas = 0;
  answers = 0;
  /** Of the answers to fetches. */
  entries = 0;
  readonly #connections: NatsConnection[] = [];

  static async watch(brokers: readonly RegionBroker[]): Promise<SyncTraffic> {
    const traffic = new SyncTraffic();
    for (const broker of brokers) {
      const { connection } = await connectRaw(broker, 'auditor');
      traffic.#connections.push(connection);
      connection.subscribe(`meridian.${broker.region}.sync.>`, { callback: (_, message) => traffic.#take(message) });
      connection.subscribe('_INBOX_sync.>', { callback: (_, message) => traffic.#take(message) });
      await connection.flush();
    }
    return traffic;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  #take({ subject, headers, data }: Msg): void {
    if (subject.endsWith('.sync.head')) this.heads += 1;
    else if (subject.endsWith('.sync.delta')) this.deltas += 1;
    else if (headers?.get('ce-type') === ANSWER) {
      const { entries, block } = fromBinary(FetchResponseSchema, data);
      this.answers += 1;
      this.entries += entries.length + (block?.count ?? 0);
    }
  }
}
