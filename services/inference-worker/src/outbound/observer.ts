import { attributeNames, type Logger } from '@meridian/runtime';
import type { Meter } from '@opentelemetry/api';
import type { ClaimFacts, Phase } from '../claims/held-claim.ts';
import type { ClaimObserver } from '../claims/ports.ts';
import type { Pace } from '../intake/pace.ts';
import type { TaskSpans } from './task-spans.ts';

/** What is measured, traced and logged of claims. */
export class WorkerObserver implements ClaimObserver {
  readonly #spans: TaskSpans;
  readonly #pace: Pace;
  readonly #logger: Logger;
  readonly #count: (end: string, reason: string) => void;
  readonly #decodeMs: (ms: number, model: string) => void;
  readonly #inferenceMs: (ms: number, model: string) => void;

  constructor(o: { readonly spans: TaskSpans; readonly pace: Pace; readonly meter: Meter; readonly logger: Logger }) {
    this.#spans = o.spans;
    this.#pace = o.pace;
    this.#logger = o.logger;
    const claims = o.meter.createCounter('meridian.worker.claims', { description: 'Claims by how they ended here.' });
    this.#count = (end, reason) => claims.add(1, { [attributeNames.outcome]: end, [attributeNames.reason]: reason });
    const histogram = (name: string) => {
      const instrument = o.meter.createHistogram(`meridian.worker.${name}`, { unit: 'ms' });
      return (ms: number, model: string) => instrument.record(ms, { [attributeNames.model]: model });
    };
    this.#decodeMs = histogram('decode');
    this.#inferenceMs = histogram('inference');
  }

  taken(facts: ClaimFacts): void {
    this.#spans.taken(facts);
  }

  ended(facts: ClaimFacts, last: Phase, end: string, reason = ''): void {
    if (last.name === 'reported' && end === 'reported') {
      const { outcome } = last;
      this.#spans.reported(facts, last);
      if (outcome.kind === 'recognition') {
        this.#pace.observe(last.fetchMs, outcome.inferenceMs);
        this.#decodeMs(outcome.decodeMs, facts.model);
        this.#inferenceMs(outcome.inferenceMs, facts.model);
      }
      this.#count(outcome.kind, outcome.kind === 'failure' ? outcome.failure.reason : '');
      return;
    }
    this.#spans.ended(facts, last, reason);
    if (end === 'acknowledged') return;
    this.#count(end, reason);
    this.#logger.debug({ task: facts.taskId, fence: String(facts.fence), end, reason }, 'claim ended without a result');
  }
}
