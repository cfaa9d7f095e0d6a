import { Failure } from '@meridian/failure';
import { type Evidence, NO_EVIDENCE } from '@meridian/replica';

/** Schedulers of one region that report on one roll. */
export const REPORTERS_MAX = 64;
/** Rolls that are reported on at a time. */
export const REPORTED_ROLLS_MAX = 256;
/** Reports come every second or two; a scheduler that is silent for longer is gone, and what it counted with it. */
const REPORT_AGE_MAX_MS = 30_000;

interface Report {
  readonly old: Evidence;
  readonly new: Evidence;
  readonly atMs: number;
}

/** What the region's schedulers report of the models of each roll: the last of each scheduler, in memory only. */
export class EvidenceDesk {
  /** By roll id, then by scheduler. */
  readonly #rolls = new Map<string, Map<string, Report>>();

  /** @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_REPORTERS */
  report(rollId: string, reporter: string, report: Report): void {
    this.#forget(report.atMs);
    const reports = this.#rolls.get(rollId) ?? new Map<string, Report>();
    if (!this.#rolls.has(rollId) && this.#rolls.size >= REPORTED_ROLLS_MAX)
      throw tooMany(`${REPORTED_ROLLS_MAX} rolls`);
    if (!reports.has(reporter) && reports.size >= REPORTERS_MAX) throw tooMany(`${REPORTERS_MAX} schedulers`);
    reports.set(reporter, report);
    this.#rolls.set(rollId, reports);
  }

  of(rollId: string, nowMs: number): { readonly old: Evidence; readonly new: Evidence } {
    this.#forget(nowMs);
    const reports = [...(this.#rolls.get(rollId)?.values() ?? [])];
    return { old: together(reports.map(({ old }) => old)), new: together(reports.map((report) => report.new)) };
  }

  #forget(nowMs: number): void {
    for (const [rollId, reports] of this.#rolls) {
      for (const [reporter, { atMs }] of reports) if (nowMs - atMs > REPORT_AGE_MAX_MS) reports.delete(reporter);
      if (reports.size === 0) this.#rolls.delete(rollId);
    }
  }
}

/** The slowest scheduler's percentile stands for all: old and new alike, so that their ratio keeps its meaning. */
function together(all: readonly Evidence[]): Evidence {
  return all.reduce(
    (sum, { tasks, errors, p95Ms }) => ({
      tasks: sum.tasks + tasks,
      errors: sum.errors + errors,
      p95Ms: Math.max(sum.p95Ms, p95Ms),
    }),
    NO_EVIDENCE,
  );
}

function tooMany(what: string): Failure {
  return new Failure('RESOURCE_EXHAUSTED', `there are reports of ${what} already`, { reason: 'TOO_MANY_REPORTERS' });
}
