import { fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import type { AttachRequestSchema, LoadSchema } from '@meridian/contracts/collector';
import { RecognitionSchema } from '@meridian/contracts/recognition';
import type { ClaimFacts } from '../claims/held-claim.ts';
import type { Reported } from '../claims/ports.ts';

export type AttachMessage = MessageInitShape<typeof AttachRequestSchema>;
export type Load = MessageInitShape<typeof LoadSchema>;

export function announcement(facts: ClaimFacts): AttachMessage {
  const { taskId, fence, eventId } = facts;
  return { message: { case: 'announced', value: { taskId, fence, cause: eventId } } };
}

export function returned(facts: ClaimFacts, reason: string): AttachMessage {
  return { message: { case: 'returned', value: { taskId: facts.taskId, fence: facts.fence, reason } } };
}

/** @param nowMs when it is sent, which is later than the result when the owner was out of reach. */
export function report(facts: ClaimFacts, reported: Reported, load: Load, nowMs: number): AttachMessage {
  const { outcome, waitMs, bytesAtMs } = reported;
  const { taskId, fence, eventId } = facts;
  const common = { taskId, fence, cause: eventId, waitMs, heldMs: Math.max(0, nowMs - bytesAtMs), load };
  if (outcome.kind === 'failure')
    return {
      message: { case: 'result', value: { ...common, outcome: { case: 'error', value: outcome.failure } } },
    };
  const { decodeMs, inferenceMs } = outcome;
  const recognition = fromBinary(RecognitionSchema, outcome.recognition);
  const value = { ...common, decodeMs, inferenceMs, outcome: { case: 'recognition' as const, value: recognition } };
  return { message: { case: 'result', value } };
}
