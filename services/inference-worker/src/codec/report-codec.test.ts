import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { AttachRequestSchema } from '@meridian/contracts/collector';
import { RecognitionSchema } from '@meridian/contracts/recognition';
import type { ClaimFacts } from '../claims/held-claim.ts';
import { report } from './report-codec.ts';

const FACTS: ClaimFacts = {
  key: 't#3',
  taskId: 't',
  jobId: 'j',
  fence: 3n,
  attempt: 1,
  eventId: 'beijing.scheduler.i.1',
  traceparent: undefined,
  tracestate: undefined,
  priority: 'high',
  model: 'm',
  modelDigest: 'd',
  tenant: 'public',
  pictureBytes: 1,
  deadlineMs: 0,
  placedAtMs: 0,
  ownerRegion: 'beijing',
  requires: [],
};
const PHASE = { name: 'reported', atMs: 1_100, bytesAtMs: 1_000, waitMs: 60, fetchMs: 5 } as const;
const LOAD = { outstanding: 2, capacity: 1, price: 0 };

function onTheWire(message: ReturnType<typeof report>) {
  return fromBinary(AttachRequestSchema, toBinary(AttachRequestSchema, create(AttachRequestSchema, message)));
}

describe('report', () => {
  test('the recognition that the child encoded arrives as the field that it is', () => {
    const recognition = create(RecognitionSchema, { width: 640, height: 400, objects: [{ label: 'cup', score: 0.5 }] });
    const outcome = {
      ...{ kind: 'recognition' as const, decodeMs: 10, inferenceMs: 30 },
      recognition: toBinary(RecognitionSchema, recognition),
    };
    const { message } = onTheWire(report(FACTS, { ...PHASE, outcome }, LOAD, 1_500));
    expect(message).toMatchObject({
      case: 'result',
      value: {
        taskId: 't',
        fence: 3n,
        cause: 'beijing.scheduler.i.1',
        decodeMs: 10,
        inferenceMs: 30,
        waitMs: 60,
        heldMs: 500,
        load: { outstanding: 2 },
        outcome: { case: 'recognition', value: { width: 640, height: 400, objects: [{ label: 'cup' }] } },
      },
    });
  });

  test('a failure arrives with its reason', () => {
    const failure = { code: 'INTERNAL', reason: 'PICTURE_HUNG_WORKER', message: 'x', retryable: true };
    const { message } = onTheWire(report(FACTS, { ...PHASE, outcome: { kind: 'failure', failure } }, LOAD, 1_500));
    expect(message.value).toMatchObject({ outcome: { case: 'error', value: failure } });
  });
});
