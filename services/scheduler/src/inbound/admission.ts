import { Failure } from '@meridian/failure';

export interface SubmitLimits {
  /** Uploads at a time: each has a chunk in memory and a file open. */
  readonly uploadsMax: number;
  /** Open tasks of all jobs: about half a kilobyte each. */
  readonly openTasksMax: number;
}

/** What a submission takes once it is accepted. */
export interface Demand {
  readonly tasks: number;
  /** Of its record, at most. */
  readonly headerBytes: number;
}

export interface AdmissionOptions {
  readonly limits: SubmitLimits;
  readonly openTasks: () => number;
  /** The index of kept jobs has room for that many more jobs and tasks, or throws. */
  readonly indexAdmits: (jobs: number, tasks: number) => void;
  /** The stream of job records has room for as much, or rejects. */
  readonly streamAdmits: (headerBytes: number, tasks: number) => Promise<void>;
}

const BUSY_RETRY_MS = 1000;

/**
 * Decides which submissions may send their pictures.
 *
 * 1. What was let in counts until it is over: submissions at once cannot all be promised the same room.
 * 2. Nothing is counted for one that was refused.
 */
export class Admission {
  readonly #o: AdmissionOptions;
  readonly #inside = new Set<Demand>();

  constructor(options: AdmissionOptions) {
    this.#o = options;
  }

  /**
   * @returns what ends the stay. Idempotent.
   * @throws Failure RESOURCE_EXHAUSTED / UPLOADS_FULL, TASKS_OPEN, JOBS_FULL or DISK_BUDGET, with a retry delay.
   */
  async enter(demand: Demand): Promise<() => void> {
    const { limits, openTasks, indexAdmits, streamAdmits } = this.#o;
    const own = { ...demand };
    const all = this.#sum(own);
    if (this.#inside.size >= limits.uploadsMax)
      throw busy(`${this.#inside.size} uploads are under way`, 'UPLOADS_FULL');
    const tasks = openTasks() + all.tasks;
    if (tasks > limits.openTasksMax) throw busy(`${tasks} tasks would be open`, 'TASKS_OPEN');
    indexAdmits(this.#inside.size + 1, all.tasks);
    this.#inside.add(own);
    const leave = () => void this.#inside.delete(own);
    try {
      await streamAdmits(all.headerBytes, all.tasks);
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
  }

  #sum(own: Demand): Demand {
    let { tasks, headerBytes } = own;
    for (const other of this.#inside) {
      tasks += other.tasks;
      headerBytes += other.headerBytes;
    }
    return { tasks, headerBytes };
  }
}

function busy(what: string, reason: string): Failure {
  return new Failure('RESOURCE_EXHAUSTED', `${what}; try again later`, { reason, retryDelayMs: BUSY_RETRY_MS });
}
