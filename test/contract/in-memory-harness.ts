import { InMemoryBroker, InMemoryBus, type MessageBus } from '@meridian/messaging';
import { systemClock } from '@meridian/runtime';
import {
  type BusHarness,
  type BusRole,
  OTHER_REGION,
  type RawEvent,
  REGION,
  Records,
  TEST_STREAMS,
  testEmitter,
  testLogger,
} from './bus-harness.ts';

export async function startInMemory(): Promise<BusHarness> {
  return new InMemoryHarness();
}

class InMemoryHarness implements BusHarness {
  readonly #broker = new InMemoryBroker({ clock: systemClock, regions: [REGION, OTHER_REGION], streams: TEST_STREAMS });
  readonly #buses: MessageBus[] = [];

  async open(role: BusRole): Promise<{ bus: MessageBus; records: Records }> {
    const records = new Records();
    const bus = new InMemoryBus({
      broker: this.#broker,
      emitter: testEmitter(role),
      role,
      logger: testLogger,
      meter: records.meter,
      clock: systemClock,
    });
    this.#buses.push(bus);
    return { bus, records };
  }

  async inject(event: RawEvent): Promise<void> {
    this.#broker.inject(REGION, event);
  }

  async down(): Promise<void> {
    this.#broker.setUp(REGION, false);
  }

  async up(): Promise<void> {
    this.#broker.setUp(REGION, true);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#buses.map((bus) => bus.close()));
    this.#broker.close();
  }
}
