import { subject } from '@meridian/contracts';
import type { Clock, Component, FinishedSpan, Telemetry, Timer } from '@meridian/runtime';
import type { MessageBus } from './message-bus.ts';

const EVERY_MS = 1_000;
/** A hundred kilobytes or so: far below what a message may hold. */
const BATCH_MAX = 256;
/** In one go; what is left waits for the next second. */
const BATCHES_MAX = 8;

interface SpanShipperOptions {
  readonly bus: MessageBus;
  readonly telemetry: Pick<Telemetry, 'takeSpans'>;
  readonly clock: Clock;
}

/** Sends finished spans to the region's scheduler, once a second. At most once: a lost one is a gap in a picture. */
export class SpanShipper implements Component {
  readonly name = 'spans';
  readonly #options: SpanShipperOptions;
  #timer: Timer | undefined;

  constructor(options: SpanShipperOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#timer = this.#options.clock.setTimer(EVERY_MS, () => {
      this.#ship();
      void this.start();
    });
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    this.#ship();
    return Promise.resolve();
  }

  #ship(): void {
    const { bus, telemetry } = this.#options;
    if (!bus.connected) return;
    for (let batch = 0; batch < BATCHES_MAX; batch++) {
      const spans = telemetry.takeSpans(BATCH_MAX);
      if (spans.length === 0) return;
      const data = { spans: spans.map(encodeSpan) };
      bus.publish(subject('spans', { origin: bus.region }), { type: 'meridian.trace.spans.v1', data });
    }
  }
}

function encodeSpan({ startMs, links: _, ...fields }: FinishedSpan) {
  return { ...fields, startUnixMs: startMs, attributes: { ...fields.attributes } };
}
