import { startInMemory } from './in-memory-harness.ts';
import { messageBusContract } from './message-bus.contract.ts';
import { NatsHarness } from './nats-harness.ts';

messageBusContract('InMemoryBus', startInMemory);
messageBusContract('NatsBus', () => NatsHarness.start());
