import { subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { MessageBus } from '@meridian/messaging';
import type { Logger } from '@meridian/runtime';
import type { Context } from '@opentelemetry/api';
import { claimMessage, type OwnerName } from '../codec/task-result.ts';
import type { Attempt, Task } from '../tasks/task.ts';

export interface ClaimPublisherOptions {
  readonly bus: MessageBus;
  readonly owner: OwnerName;
  readonly logger: Logger;
  /** Without a PubAck for this long the claim is placed elsewhere. Above the longest round trip of a healthy link. */
  readonly timeoutMs: number;
}

/** Puts claims into the work queues of regions. */
export class ClaimPublisher {
  readonly #options: ClaimPublisherOptions;

  constructor(options: ClaimPublisherOptions) {
    this.#options = options;
  }

  /** @returns whether the region's queue surely has the claim; it may have it all the same when not. */
  async publish(task: Task, attempt: Attempt, traceContext: Context): Promise<boolean> {
    const { bus, owner, logger, timeoutMs } = this.#options;
    const { work, taskId } = task;
    const event = {
      type: 'meridian.task.claim.v1' as const,
      data: claimMessage(task, attempt, owner),
      causes: work.causes,
      tenant: work.tenant,
      traceContext,
    };
    const target = subject('task', { target: attempt.region, class: work.priority, model: work.model });
    try {
      const { duplicate } = await bus.publishDurable(target, event, {
        messageId: `${taskId}#${attempt.fence}`,
        timeoutMs,
      });
      // A fence is published once: a queue that knows it already means that somebody else's claim has our id.
      if (duplicate) logger.error({ taskId, fence: attempt.fence }, 'the claim was known to its queue already');
      return !duplicate;
    } catch (error) {
      const { code, reason } = Failure.from(error);
      logger.debug({ taskId, fence: attempt.fence, region: attempt.region, code, reason }, 'claim not acknowledged');
      return false;
    }
  }
}
