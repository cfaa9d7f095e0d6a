import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  type AttachRequestSchema,
  type LoadSchema,
  ResultSchema,
  type WorkerLoadSchema,
} from '@meridian/contracts/collector';
import type { ClaimFacts } from '../claims/held-claim.ts';
import type { Reported } from '../claims/ports.ts';

export type AttachMessage = MessageInitShape<typeof AttachRequestSchema>;
export type Load = MessageInitShape<typeof LoadSchema>;
export type WorkerLoad = MessageInitShape<typeof WorkerLoadSchema>;

/** @param waits it is held, but no bytes are wanted yet */
export function announcement(facts: ClaimFacts, waits: boolean): AttachMessage {
  const { taskId, fence, eventId } = facts;
  return { message: { case: 'announced', value: { taskId, fence, cause: eventId, waits } } };
}

export function returned(facts: ClaimFacts, reason: string): AttachMessage {
  return { message: { case: 'returned', value: { taskId: facts.taskId, fence: facts.fence, reason } } };
}

/** @param nowMs when it is sent, which is later than the result when the owner was out of reach. */
export function report(facts: ClaimFacts, reported: Reported, load: Load | undefined, nowMs: number): AttachMessage {
  const { outcome, waitMs, bytesAtMs } = reported;
  const { taskId, fence, eventId } = facts;
  const common = {
    taskId,
    fence,
    cause: eventId,
    waitMs,
    heldMs: Math.max(0, nowMs - bytesAtMs),
    ...(load && { load }),
  };
  if (outcome.kind === 'failure')
    return {
      message: { case: 'result', value: { ...common, outcome: { case: 'error', value: outcome.failure } } },
    };
  const { decodeMs, inferenceMs } = outcome;
  const value = create(ResultSchema, { ...common, decodeMs, inferenceMs });
  // What the child encoded goes on as it is: decoding and encoding it again would double the cost of reporting.
  const data = new BinaryWriter().bytes(outcome.recognition).finish();
  value.$unknown = [{ no: ResultSchema.field.recognition.number, wireType: WireType.LengthDelimited, data }];
  return { message: { case: 'result', value } };
}
