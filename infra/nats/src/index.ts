export { linkAuditor } from './accounts.ts';
export type { BrokerCluster } from './cluster.ts';
export { type Secret, Variable } from './conf-text.ts';
export {
  DEAD_ADDRESS,
  JETSTREAM_KEY_VARIABLE,
  type LinkSecret,
  type NatsConfigOptions,
  natsConfig,
} from './nats-config.ts';
export { type Permissions, permissionsOf } from './permissions.ts';
export { docsSubjects } from './subjects-document.ts';
