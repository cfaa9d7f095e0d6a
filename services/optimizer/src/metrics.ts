import { attributeNames } from '@meridian/runtime';
import type { Counter, Histogram, Meter } from '@opentelemetry/api';
import type { Refusal } from './reports/facts.ts';

/** What this service counts. Names and meanings are in docs/telemetry.md. */
export interface Metrics {
  /** Plans that were made, by cause. */
  readonly plans: Counter;
  /** Plans that could not be made, by reason. */
  readonly failures: Counter;
  /** Of one plan, ms. */
  readonly solveDuration: Histogram;
  readonly rejected: (kind: 'load' | 'demand', reason: Refusal, count?: number) => void;
}

export interface Gauges {
  /** By region: 1 when it is a target of the last plan, else 0. */
  readonly targets: () => Readonly<Record<string, number>>;
  /** By region, ms; of the last plan. */
  readonly priceMs: () => Readonly<Record<string, number>>;
  readonly shedPerSecond: () => number;
  readonly watches: () => number;
}

export function createMetrics(meter: Meter): Metrics {
  const reports = meter.createCounter('meridian.optimizer.reports.rejected');
  return {
    plans: meter.createCounter('meridian.optimizer.plans'),
    failures: meter.createCounter('meridian.optimizer.plans.failed'),
    solveDuration: meter.createHistogram('meridian.optimizer.solve.duration', { unit: 'ms' }),
    rejected: (kind, reason, count = 1) => reports.add(count, { kind, [attributeNames.reason]: reason }),
  };
}

export function observeGauges(meter: Meter, gauges: Gauges): void {
  const single = (name: string, value: () => number): void =>
    meter.createObservableGauge(`meridian.optimizer.${name}`).addCallback((result) => result.observe(value()));
  const byRegion = (name: string, values: () => Readonly<Record<string, number>>): void =>
    meter.createObservableGauge(`meridian.optimizer.${name}`).addCallback((result) => {
      for (const [region, value] of Object.entries(values()))
        result.observe(value, { [attributeNames.targetRegion]: region });
    });
  byRegion('region.target', gauges.targets);
  byRegion('region.price.ms', gauges.priceMs);
  single('demand.shed', gauges.shedPerSecond);
  single('watches', gauges.watches);
}
