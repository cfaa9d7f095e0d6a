import { fromBinary } from '@bufbuild/protobuf';
import { subject } from '@meridian/contracts';
import { TaskClaimSchema } from '@meridian/contracts/task';
import type { LocalSystem } from '@meridian/local';
import type { NatsConnection } from '@nats-io/transport-node';
import { auditorOf, connectAuditor } from '../support/capture.ts';
import type { ClaimSeen } from './answers.ts';

/** Every claim that passes through a region's own account, as its owner published it. The system has an auditor. */
export class ClaimTap {
  readonly claims: ClaimSeen[] = [];
  readonly #connections: NatsConnection[] = [];

  static async start(system: LocalSystem): Promise<ClaimTap> {
    const tap = new ClaimTap();
    for (const region of system.regions.keys()) await tap.#listen(system, region);
    return tap;
  }

  /** Whatever a broker has carried before is in `claims` afterwards. */
  async settled(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.flush()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  async #listen(system: LocalSystem, region: string): Promise<void> {
    const connection = await connectAuditor(system, region, await auditorOf(system, region));
    this.#connections.push(connection);
    connection.subscribe(subject('task', { target: '*', class: '*', model: '*' }), {
      callback: (error, { data }) => {
        if (error !== null) return;
        const { taskId, model, modelDigest } = fromBinary(TaskClaimSchema, data);
        this.claims.push({ taskId, model, modelDigest });
      },
    });
    await connection.flush();
  }
}
