import type { Result } from '@meridian/contracts/collector';
import type { TaskError } from '@meridian/contracts/recognition';
import { Failure, isCode } from '@meridian/failure';
import type { WorkerResult } from '../tasks/ports.ts';
import type { Outcome, TaskFailure } from '../tasks/task.ts';

const REASON = /^[A-Z][A-Z0-9_]{0,62}$/;
const MESSAGE_CHARS_MAX = 1000;

/** @throws Failure INVALID_ARGUMENT / RESULT_INVALID for a result without an outcome. Not retryable. */
export function workerResult(result: Result): WorkerResult {
  const { taskId, fence, waitMs, decodeMs, inferenceMs, heldMs, cause } = result;
  const times = {
    waitMs: span(waitMs),
    decodeMs: span(decodeMs),
    inferenceMs: span(inferenceMs),
    heldMs: span(heldMs),
  };
  return { taskId, fence: Number(fence), outcome: outcomeOf(result), times, ...(cause !== '' && { cause }) };
}

function outcomeOf({ outcome }: Result): Outcome {
  if (outcome.case === 'recognition') return { kind: 'recognition', recognition: outcome.value };
  if (outcome.case === 'error') return { kind: 'failure', failure: taskFailure(outcome.value) };
  throw new Failure('INVALID_ARGUMENT', 'a result needs a recognition or an error', { reason: 'RESULT_INVALID' });
}

export function taskFailure({ code, reason, message, retryable }: TaskError): TaskFailure {
  return {
    code: isCode(code) ? code : 'INTERNAL',
    reason: REASON.test(reason) ? reason : 'UNKNOWN',
    message: message.slice(0, MESSAGE_CHARS_MAX),
    retryable,
  };
}

/** A duration from outside: finite and not negative. */
function span(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}
