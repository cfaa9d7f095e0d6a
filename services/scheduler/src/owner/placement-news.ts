import type { MessageInitShape } from '@bufbuild/protobuf';
import type { PlacementSchema } from '@meridian/contracts/event';
import type { Job } from '../jobs/job.ts';
import { type EventPublisher, PLACEMENTS_MAX } from '../outbound/event-publisher.ts';
import type { Attempt, Task } from '../tasks/task.ts';

type Placement = MessageInitShape<typeof PlacementSchema> & { taskId: string; fence: bigint };

interface Gathered {
  readonly job: Job;
  readonly first: Placement[];
  readonly again: Placement[];
}

/** Gathers the placements of a round, so that a job's consumers get one event for many. */
export class PlacementNews {
  readonly #events: EventPublisher;
  readonly #gathered = new Map<string, Gathered>();

  constructor(events: EventPublisher) {
    this.#events = events;
  }

  add(job: Job, task: Task, attempt: Attempt): void {
    const gathered = this.#gathered.get(job.facts.jobId) ?? { job, first: [], again: [] };
    this.#gathered.set(job.facts.jobId, gathered);
    const placement = { taskId: task.taskId, region: attempt.region, fence: BigInt(attempt.fence) };
    const placements = attempt.after === undefined ? gathered.first : gathered.again;
    placements.push({ ...placement, reason: attempt.after ?? '' });
    if (placements.length >= PLACEMENTS_MAX) this.#publish(gathered);
  }

  /** Call with every tick. */
  flush(): void {
    for (const gathered of this.#gathered.values()) this.#publish(gathered);
    this.#gathered.clear();
  }

  /** What a job has placed goes out before the event of its end. */
  flushJob(jobId: string): void {
    const gathered = this.#gathered.get(jobId);
    if (gathered !== undefined) this.#publish(gathered);
    this.#gathered.delete(jobId);
  }

  #publish({ job, first, again }: Gathered): void {
    const causes = () => [job.acceptedEvent ?? job.record.cause];
    this.#events.placements(job.facts, first.splice(0), false, causes);
    this.#events.placements(job.facts, again.splice(0), true, causes);
  }
}
