import type { DispatchPorts } from './ports.ts';
import type { Task } from './task.ts';
import type { TaskEffect } from './transition.ts';

/** Carries out one effect of `decide` through the ports. `enqueue` is the dispatcher's own. */
export function perform(ports: DispatchPorts, task: Task, effect: Exclude<TaskEffect, { kind: 'enqueue' }>): void {
  const { taskId } = task;
  switch (effect.kind) {
    case 'publish-claim':
      ports.publishClaim(task, effect.attempt);
      break;
    case 'claim-stored':
      ports.claimStored(task, effect.attempt);
      break;
    case 'send-picture':
      ports.sendPicture(effect.stream, task, effect.fence);
      break;
    case 'refuse':
      ports.refuse(effect.stream, taskId, effect.fence, effect.reason);
      break;
    case 'acknowledge':
      ports.acknowledge(effect.ack.stream, taskId, effect.ack.fence);
      break;
    case 'cancel-on-worker':
      ports.cancelOnWorker(effect.stream, taskId);
      break;
    case 'store':
      ports.store(task, effect.ending);
      break;
    case 'dead-letter':
      ports.deadLetter(task, effect.ending);
      break;
    case 'attempt-ended':
      ports.attemptEnded(task, effect.attempt);
      // Its place in the window is free.
      ports.wake();
      break;
    case 'drop':
      ports.dropped(effect.what);
      break;
    case 'ended':
      ports.ended(task, effect.ending);
      break;
  }
}
