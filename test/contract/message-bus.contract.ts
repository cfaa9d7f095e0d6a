import { afterEach, beforeEach, describe } from '@jest/globals';
import { consumerContract } from './bus-consumer.contract.ts';
import { coreContract } from './bus-core.contract.ts';
import { durableContract } from './bus-durable.contract.ts';
import type { BusHarness } from './bus-harness.ts';
import { hostileContract } from './bus-hostile.contract.ts';

/** What every implementation of the port must do. Each test has a broker of its own, with empty streams. */
export function messageBusContract(name: string, start: () => Promise<BusHarness>): void {
  describe(`${name} keeps the contract of the message bus`, () => {
    let harness: BusHarness | undefined;
    const current = (): BusHarness => {
      if (harness === undefined) throw new Error('no harness');
      return harness;
    };
    beforeEach(async () => {
      harness = await start();
    });
    afterEach(async () => {
      await harness?.stop();
      harness = undefined;
    });
    coreContract(current);
    durableContract(current);
    consumerContract(current);
    hostileContract(current);
  });
}
