import { attributeNames, type Clock, type Logger } from '@meridian/runtime';
import type { Metrics } from '../metrics.ts';
import type { ClaimPublisher } from '../outbound/claim-publisher.ts';
import type { TaskTracer } from '../outbound/task-tracer.ts';
import type { PayloadForms } from '../payload/payload-forms.ts';
import type { RollEvidence } from '../rolls/roll-evidence.ts';
import type { Dispatcher } from '../tasks/dispatcher.ts';
import type { DispatchPorts } from '../tasks/ports.ts';
import type { Attempt, EndedAttempt, Ending, Task } from '../tasks/task.ts';
import type { RefusalReason } from '../tasks/transition.ts';
import type { Calls } from './calls.ts';
import type { JobKeeper } from './job-keeper.ts';
import type { WorkerStreams } from './worker-streams.ts';

export interface EffectsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly claims: ClaimPublisher;
  readonly tracer: TaskTracer;
  readonly streams: WorkerStreams;
  readonly calls: Calls;
  readonly jobs: JobKeeper;
  readonly evidence: Pick<RollEvidence, 'ended'>;
  /** What learns from tasks that have ended. */
  readonly measurements: readonly Measurement[];
  readonly payload: Pick<PayloadForms, 'bytes' | 'ended'>;
  readonly dispatcher: () => Dispatcher;
  /** Nothing can be placed while the own broker is out of reach. */
  readonly canPlace: () => boolean;
}

export interface Measurement {
  /** @param nowMs monotonic */
  ended(task: Task, ending: Ending, nowMs: number): void;
}

/** Does what the dispatcher asks for, with the parts that reach the world, and tells it what came of it. */
export class Effects implements DispatchPorts {
  readonly #o: EffectsOptions;
  #roundAsked = false;
  #closed = false;

  constructor(options: EffectsOptions) {
    this.#o = options;
  }

  publishClaim(task: Task, attempt: Attempt): void {
    const { claims, tracer, dispatcher, clock, metrics } = this.#o;
    metrics.decisions.add(1, { [attributeNames.targetRegion]: attempt.region });
    const context = tracer.beginAttempt(task, attempt);
    void claims.publish(task, attempt, context).then((stored) => {
      if (stored) dispatcher().claimStored(task.taskId, attempt.fence, clock.nowMs());
      else dispatcher().claimNotStored(task.taskId, attempt.fence, clock.nowMs());
    });
  }

  claimStored(task: Task, attempt: Attempt): void {
    const { metrics, jobs } = this.#o;
    const { faultMs, after, storedMs = attempt.placedMs } = attempt;
    if (faultMs !== undefined)
      metrics.reissueDelay.record(storedMs - faultMs, { [attributeNames.reason]: after ?? '' });
    if (task.work.jobId !== '') jobs.placed(task, attempt);
  }

  sendPicture(stream: string, task: Task, fence: number): void {
    const { streams, metrics, dispatcher, clock, payload } = this.#o;
    const { taskId } = task;
    const to = streams.get(stream);
    to?.sendPicture({
      taskId,
      fence,
      bytes: () => {
        const wanted = dispatcher().wanted(taskId, fence);
        return wanted && payload.bytes(wanted, fence, to.ref.region, () => this.#picture(wanted));
      },
      sent: (bytes) => metrics.pictureBytes.add(bytes, { [attributeNames.targetRegion]: to.ref.region }),
      failed: ({ code, reason, message }) => {
        const failure = { code, reason, message, retryable: false };
        dispatcher().fail(taskId, { kind: 'failure', failure }, clock.nowMs());
      },
    });
  }

  refuse(stream: string, taskId: string, fence: number, reason: RefusalReason): void {
    this.#o.metrics.refused.add(1, { [attributeNames.reason]: reason });
    const value = { taskId, fence: BigInt(fence), reason };
    this.#o.streams.get(stream)?.send({ message: { case: 'refused', value } });
  }

  acknowledge(stream: string, taskId: string, fence: number): void {
    const value = { taskId, fence: BigInt(fence) };
    this.#o.streams.get(stream)?.send({ message: { case: 'ack', value } });
  }

  cancelOnWorker(stream: string, taskId: string): void {
    this.#o.streams.get(stream)?.send({ message: { case: 'cancel', value: { taskId } } });
  }

  store(task: Task, ending: Ending): void {
    void this.#o.jobs.commit(task, ending);
  }

  deadLetter(task: Task, ending: Ending): void {
    if (task.work.jobId !== '') this.#o.jobs.deadLetter(task, ending);
  }

  attemptEnded(task: Task, attempt: EndedAttempt): void {
    const { metrics, tracer } = this.#o;
    tracer.endAttempt(task, attempt);
    metrics.attempts.add(1, { [attributeNames.reason]: attempt.end, [attributeNames.targetRegion]: attempt.region });
  }

  ended(task: Task, ending: Ending): void {
    const { metrics, tracer, calls, evidence, measurements, payload, clock } = this.#o;
    const isCall = task.work.jobId === '';
    tracer.endTask(task, ending, clock.nowMs());
    const labels = { [attributeNames.outcome]: ending.how, kind: isCall ? 'call' : 'job' };
    metrics.tasks.add(1, labels);
    metrics.taskDuration.record(ending.times.totalMs, labels);
    evidence.ended(task, ending);
    for (const each of measurements) each.ended(task, ending, clock.monotonicMs());
    payload.ended(task.taskId);
    if (isCall) calls.ended(task, ending);
  }

  dropped(what: string): void {
    this.#o.metrics.dropped.add(1, { [attributeNames.reason]: what });
  }

  endedReason(taskId: string): RefusalReason {
    return this.#o.jobs.endedReason(taskId) ?? this.#o.calls.endedReason(taskId);
  }

  wake(): void {
    if (this.#roundAsked || this.#closed || !this.#o.canPlace()) return;
    this.#roundAsked = true;
    queueMicrotask(() => {
      this.#roundAsked = false;
      this.#o.dispatcher().round(this.#o.clock.nowMs());
    });
  }

  /** Nothing is placed any more: what jobs lose from now on is for the next life. */
  close(): void {
    this.#closed = true;
  }

  #picture(task: Task): Uint8Array | Promise<Uint8Array> | undefined {
    return task.work.jobId === '' ? this.#o.calls.picture(task.taskId) : this.#o.jobs.picture(task);
  }
}
