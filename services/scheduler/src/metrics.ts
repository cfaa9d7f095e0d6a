import type { Counter, Histogram, Meter } from '@opentelemetry/api';

/** What this service counts. Names and meanings are in docs/telemetry.md. */
export interface Metrics {
  /** Ended tasks, by outcome and kind (call, job). */
  readonly tasks: Counter;
  /** From acceptance to the end, ms. */
  readonly taskDuration: Histogram;
  /** Ended attempts, by reason and region. */
  readonly attempts: Counter;
  /** From the notice of a fault to the PubAck of the new claim, ms. */
  readonly reissueDelay: Histogram;
  /** Results and failures that changed nothing, by kind. */
  readonly dropped: Counter;
  /** Announcements refused, by reason. */
  readonly refused: Counter;
  /** Requests refused at the door, by reason. */
  readonly rejected: Counter;
  /** Reports and loads that cannot be true, by kind. */
  readonly rejectedReports: Counter;
  /** Decisions of placement, by region that was taken. */
  readonly decisions: Counter;
  /** Bytes of pictures sent to workers, by region. */
  readonly pictureBytes: Counter;
  /** Calls that asked the result cache, by outcome. */
  readonly cacheLookups: Counter;
  /** Answers that left the result cache, by reason. */
  readonly cacheEvictions: Counter;
}

export interface Gauges {
  readonly openTasks: () => number;
  readonly ready: () => Readonly<Record<string, number>>;
  readonly held: () => Readonly<Record<string, number>>;
  /** 2 up, 1 suspect, 0 down. */
  readonly health: () => Readonly<Record<string, number>>;
  readonly roundTripMs: () => Readonly<Record<string, number>>;
  /** Milliseconds, as heard last. */
  readonly priceMs: () => Readonly<Record<string, number>>;
  readonly ahead: () => Readonly<Record<string, number>>;
  readonly jobs: () => number;
  readonly spoolBytes: () => number;
  readonly streams: () => number;
  readonly cacheBytes: () => number;
  readonly cacheEntries: () => number;
}

export function createMetrics(meter: Meter): Metrics {
  return {
    tasks: meter.createCounter('meridian.scheduler.tasks'),
    taskDuration: meter.createHistogram('meridian.scheduler.task.duration', { unit: 'ms' }),
    attempts: meter.createCounter('meridian.scheduler.attempts'),
    reissueDelay: meter.createHistogram('meridian.scheduler.reissue.delay', { unit: 'ms' }),
    dropped: meter.createCounter('meridian.scheduler.results.dropped'),
    refused: meter.createCounter('meridian.scheduler.announcements.refused'),
    rejected: meter.createCounter('meridian.scheduler.requests.rejected'),
    rejectedReports: meter.createCounter('meridian.scheduler.reports.rejected'),
    decisions: meter.createCounter('meridian.scheduler.decisions'),
    pictureBytes: meter.createCounter('meridian.scheduler.picture.bytes', { unit: 'By' }),
    cacheLookups: meter.createCounter('meridian.scheduler.cache.lookups'),
    cacheEvictions: meter.createCounter('meridian.scheduler.cache.evictions'),
  };
}

export function observeGauges(meter: Meter, gauges: Gauges): void {
  const single = (name: string, value: () => number): void =>
    meter.createObservableGauge(`meridian.scheduler.${name}`).addCallback((result) => result.observe(value()));
  const labelled = (name: string, label: string, values: () => Readonly<Record<string, number>>): void =>
    meter.createObservableGauge(`meridian.scheduler.${name}`).addCallback((result) => {
      for (const [key, value] of Object.entries(values())) result.observe(value, { [label]: key });
    });
  single('tasks.open', gauges.openTasks);
  single('jobs.kept', gauges.jobs);
  single('spool.bytes', gauges.spoolBytes);
  single('workers.attached', gauges.streams);
  single('cache.bytes', gauges.cacheBytes);
  single('cache.entries', gauges.cacheEntries);
  labelled('tasks.ready', 'meridian.priority', gauges.ready);
  labelled('tasks.held', 'meridian.target.region', gauges.held);
  labelled('region.health', 'meridian.target.region', gauges.health);
  labelled('region.round_trip.ms', 'meridian.target.region', gauges.roundTripMs);
  labelled('region.price.ms', 'meridian.target.region', gauges.priceMs);
  labelled('region.tasks.ahead', 'meridian.target.region', gauges.ahead);
}
