import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import type { BusStatus } from '@meridian/messaging';
import { createLogger, VirtualClock } from '@meridian/runtime';
import { ClaimQueues } from './claim-queues.ts';

let directory: string;
let clock: VirtualClock;
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });

/** A bus of which only the broker's life and the reset matter. */
class Broker {
  brokerLife = 'first';
  connected = true;
  resets = 0;
  refuses = false;
  readonly #listeners = new Set<(status: BusStatus) => void>();

  onStatus(listener: (status: BusStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  deleteConsumers(): Promise<number> {
    if (this.refuses) return Promise.reject(new Failure('UNAVAILABLE', 'not now'));
    this.resets += 1;
    return Promise.resolve(12);
  }

  comesBack(life: string): void {
    this.brokerLife = life;
    for (const listener of this.#listeners) listener('connected');
  }
}

function queues(bus: Broker): ClaimQueues {
  return new ClaimQueues({ bus, file: join(directory, 'state', 'broker-life'), clock, logger });
}

/** The test's own time-out is the bound. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-queues-'));
  clock = new VirtualClock();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('once for each life of the broker, over restarts of this process too', async () => {
  const bus = new Broker();
  const first = queues(bus);
  await first.start();
  expect(bus.resets).toBe(1);
  bus.comesBack('first'); // the connection was lost, not the broker
  await first.stop();
  const second = queues(bus);
  await second.start();
  expect(bus.resets).toBe(1);
  bus.comesBack('second');
  await until(() => bus.resets === 2);
  await second.stop();
});

test('what could not be done is tried again', async () => {
  const bus = new Broker();
  bus.refuses = true;
  const one = queues(bus);
  await one.start();
  expect(bus.resets).toBe(0);
  bus.refuses = false;
  clock.advance(1000);
  await until(() => bus.resets === 1);
  await one.stop();
});
