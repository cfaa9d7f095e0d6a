import { attributeNames, contextFromTraceparent } from '@meridian/runtime';
import { type Span, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { ClaimFacts, Phase } from '../claims/held-claim.ts';
import type { Reported } from '../claims/ports.ts';

/**
 * One `worker.task` span for each claim, from its pull to its result, a child of the owner's attempt. Its parts are
 * attributes: how long the picture took to come, waited here, was decoded, and was inferred, one after the other up to
 * the end. A waterfall draws them from that; as spans of their own they would cost more than all the rest of tracing.
 */
export class TaskSpans {
  readonly #tracer: Tracer;
  readonly #worker: string;
  readonly #open = new Map<string, Span>();

  constructor(tracer: Tracer, worker: string) {
    this.#tracer = tracer;
    this.#worker = worker;
  }

  taken(facts: ClaimFacts): void {
    const parent = contextFromTraceparent(facts.traceparent, facts.tracestate);
    const attributes = {
      [attributeNames.taskId]: facts.taskId,
      [attributeNames.jobId]: facts.jobId,
      [attributeNames.tenant]: facts.tenant,
      [attributeNames.attempt]: facts.attempt,
      [attributeNames.fence]: facts.fence.toString(),
      [attributeNames.worker]: this.#worker,
      [attributeNames.model]: facts.model,
      [attributeNames.priority]: facts.priority,
      [attributeNames.pictureBytes]: facts.pictureBytes,
    };
    const span = this.#tracer.startSpan('worker.task', { kind: SpanKind.CONSUMER, attributes }, parent);
    if (span.isRecording()) this.#open.set(facts.key, span);
  }

  reported(facts: ClaimFacts, phase: Reported): void {
    const span = this.#take(facts);
    if (span === undefined) return;
    const { outcome, waitMs, fetchMs, atMs } = phase;
    span.setAttribute(attributeNames.fetchMs, rounded(fetchMs));
    span.setAttribute(attributeNames.waitMs, rounded(waitMs));
    if (outcome.kind === 'failure') {
      const { code, reason, message } = outcome.failure;
      span.setAttributes({ [attributeNames.code]: code, [attributeNames.reason]: reason });
      span.setStatus({ code: SpanStatusCode.ERROR, message });
    } else {
      span.setAttribute(attributeNames.decodeMs, rounded(outcome.decodeMs));
      span.setAttribute(attributeNames.inferenceMs, rounded(outcome.inferenceMs));
    }
    span.end(atMs);
  }

  ended(facts: ClaimFacts, phase: Phase, reason: string): void {
    if (phase.name === 'reported') return;
    const span = this.#take(facts);
    if (span === undefined) return;
    span.setAttribute(attributeNames.reason, reason);
    span.end();
  }

  #take(facts: ClaimFacts): Span | undefined {
    const span = this.#open.get(facts.key);
    this.#open.delete(facts.key);
    return span;
  }
}

function rounded(ms: number): string {
  return ms.toFixed(2);
}
