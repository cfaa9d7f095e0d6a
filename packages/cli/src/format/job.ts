import { type Job, JobState, type TaskResult } from '@meridian/contracts/recognition';
import { formatDateTime, formatMs, formatNumber } from './quantity.ts';
import { formatTable } from './table.ts';

const STATES: Readonly<Record<number, string>> = {
  [JobState.RUNNING]: 'running',
  [JobState.FINISHED]: 'finished',
  [JobState.CANCELLED]: 'cancelled',
};

export function jobState(job: Job): string {
  return STATES[job.state] ?? 'unknown';
}

export function formatJobs(jobs: readonly Job[]): string {
  if (jobs.length === 0) return 'no jobs';
  const rows = jobs.map((job) => [
    job.jobId,
    jobState(job),
    formatNumber(job.tasks),
    formatNumber(job.succeeded),
    formatNumber(job.failed),
    job.model,
    formatDateTime(Number(job.acceptedUnixMs)),
    tookText(job),
  ]);
  return formatTable(['job', 'state', 'tasks', 'ok', 'failed', 'model', 'accepted', 'took'], rows);
}

function tookText(job: Job): string {
  return job.finishedUnixMs === 0n ? '–' : formatMs(Number(job.finishedUnixMs - job.acceptedUnixMs));
}

const FAILURES_SHOWN_MAX = 10;

/** Adds up results as they come; bounded by the 10,000 tasks of a job. */
export class JobTally {
  readonly #regions = new Map<string, number[]>();
  readonly #failures: string[] = [];
  #again = 0;
  #againTask = '';
  succeeded = 0;
  failed = 0;

  add(result: TaskResult): void {
    if (result.attempts > 1) {
      this.#again++;
      this.#againTask ||= result.taskId;
    }
    if (result.outcome.case === 'error') {
      this.failed++;
      const { code, reason, message } = result.outcome.value;
      const what = reason === '' || reason === code ? code : `${code} / ${reason}`;
      if (this.#failures.length < FAILURES_SHOWN_MAX)
        this.#failures.push(`  ${result.pictureName || `picture ${result.index}`}: ${what}: ${message}`);
      return;
    }
    this.succeeded++;
    const times = this.#regions.get(result.region) ?? [];
    times.push(result.timings?.totalMs ?? Number.NaN);
    this.#regions.set(result.region, times);
  }

  get total(): number {
    return this.succeeded + this.failed;
  }

  /** The finished job for people: counts, pictures per second, what each region did, the first failures. */
  summary(job: Job): string {
    const tookMs = Number(job.finishedUnixMs - job.acceptedUnixMs);
    const rate =
      tookMs > 0 ? ` in ${formatMs(tookMs)}, ${formatNumber((job.succeeded * 1_000) / tookMs)} pictures/s` : '';
    const again = this.#again === 0 ? '' : `, ${this.#again} placed more than once`;
    const head = `job ${job.jobId} ${jobState(job)}: ${job.succeeded} of ${job.tasks} recognised, ${job.failed} failed${again}${rate}`;
    const trace =
      this.#againTask === '' ? [] : [`  to see the attempts of one of them: ./meridian trace ${this.#againTask}`];
    return [head, ...trace, ...this.#regionLines(), ...this.#failureLines()].join('\n');
  }

  #regionLines(): string[] {
    if (this.#regions.size === 0) return [];
    const rows = [...this.#regions]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([region, times]) => {
        const sorted = times.filter(Number.isFinite).sort((a, b) => a - b);
        return [
          region,
          formatNumber(times.length),
          formatMs(at(sorted, 0.5)),
          formatMs(at(sorted, 0.95)),
          formatMs(at(sorted, 1)),
        ];
      });
    return [formatTable(['ran in', 'pictures', 'median', '95 %', 'slowest'], rows)];
  }

  #failureLines(): string[] {
    const more = this.failed - this.#failures.length;
    return more > 0 ? [...this.#failures, `  … and ${more} more`] : this.#failures;
  }
}

/** Nearest rank. */
function at(sorted: readonly number[], fraction: number): number {
  return sorted[Math.max(Math.ceil(sorted.length * fraction) - 1, 0)] ?? Number.NaN;
}
