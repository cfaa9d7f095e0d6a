import type { Envelope, PriorityClassName } from '@meridian/contracts';
import { PriorityClass } from '@meridian/contracts/recognition';
import type { TaskClaim } from '@meridian/contracts/task';
import type { Delivery } from '@meridian/messaging';
import { REQUIRED_MAX } from '@meridian/replica';
import type { ClaimFacts } from '../claims/held-claim.ts';
import type { ClaimMessage } from '../claims/ports.ts';
import type { AckBatch } from '../intake/ack-batch.ts';

const PRIORITY_NAMES: Readonly<Record<number, PriorityClassName>> = {
  [PriorityClass.UNSPECIFIED]: 'normal',
  [PriorityClass.HIGH]: 'high',
  [PriorityClass.NORMAL]: 'normal',
  [PriorityClass.LOW]: 'low',
};
const ID_CHARS_MAX = 200;

/** @returns what is wrong, for a claim that nobody can work on. */
export function decodeClaim(envelope: Envelope, claim: TaskClaim): ClaimFacts | string {
  const priority = PRIORITY_NAMES[claim.priority];
  if (priority === undefined) return 'priority: not a class';
  if (claim.taskId === '' || claim.taskId.length > ID_CHARS_MAX) return 'task_id: empty or too long';
  if (claim.owner === undefined || claim.owner.region === '') return 'owner: missing';
  if (claim.modelDigest === '') return 'model_digest: missing';
  // An owner of an earlier release names dots only.
  const { requiredRecords } = claim;
  const requires = requiredRecords.length > 0 ? requiredRecords : claim.requires.map((dot) => ({ key: '', dot }));
  if (requires.length > REQUIRED_MAX) return `requires: more than ${REQUIRED_MAX}`;
  return {
    key: `${claim.taskId}#${claim.fence}`,
    taskId: claim.taskId,
    jobId: claim.jobId,
    fence: claim.fence,
    attempt: claim.attempt,
    eventId: envelope.id,
    traceparent: envelope.traceparent,
    tracestate: envelope.tracestate,
    priority,
    model: claim.model,
    modelDigest: claim.modelDigest,
    tenant: claim.tenant,
    pictureBytes: claim.pictureBytes,
    deadlineMs: Number(claim.deadlineUnixMs),
    placedAtMs: Number(claim.placedUnixMs),
    ownerRegion: claim.owner.region,
    requires: requires.map(({ key, dot }) => ({ key, dot })),
  };
}

/** A delivery as the desk sees it. */
export class DeliveredClaim implements ClaimMessage {
  readonly #delivery: Delivery<'meridian.task.claim.v1'>;
  readonly #acks: AckBatch;

  constructor(delivery: Delivery<'meridian.task.claim.v1'>, acks: AckBatch) {
    this.#delivery = delivery;
    this.#acks = acks;
  }

  get deliveryCount(): number {
    return this.#delivery.deliveryCount;
  }

  acknowledge(): void {
    this.#acks.add(() => this.#delivery.ack());
  }

  terminate(reason: string): void {
    this.#delivery.term(reason);
  }

  giveBack(delayMs: number): void {
    this.#delivery.nak(delayMs);
  }

  renew(): void {
    this.#delivery.working();
  }
}
