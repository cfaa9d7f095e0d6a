export { CLOCK_DRIFT_MAX_MS, connectService, type ServiceIdentity } from './connect-service.ts';
export { Emitter, type EmitterOptions } from './emitter.ts';
export { InMemoryBroker, type InMemoryBrokerOptions } from './in-memory-broker.ts';
export { InMemoryBus, type InMemoryBusOptions } from './in-memory-bus.ts';
export { Inspector, type InspectorOptions, type RawMessage } from './inspector.ts';
export { LogLimiter } from './log-limiter.ts';
export {
  type BusStatus,
  type Cause,
  type ConsumerDepth,
  type ConsumerOptions,
  type ConsumerSettings,
  type Delivery,
  type DurableEvent,
  FETCH_MAX,
  hasType,
  type Incoming,
  type MessageBus,
  type Outgoing,
  type PublishDurableOptions,
  type Published,
  type PullConsumer,
  type RequestOptions,
  type Stored,
  type StoredPlace,
  type StreamState,
  type Subscription,
} from './message-bus.ts';
export { NatsAdmin, streamConfig, streamSubject } from './nats-admin.ts';
export { connectNats, NatsBus, type NatsBusOptions } from './nats-bus.ts';
export type { NatsDialOptions, TlsFiles } from './nats-dial.ts';
export { SpanShipper } from './span-shipper.ts';
