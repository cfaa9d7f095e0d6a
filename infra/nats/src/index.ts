export { linkAuditor } from './accounts.ts';
export { DEAD_ADDRESS, JETSTREAM_KEY_VARIABLE, type NatsConfigOptions, natsConfig } from './nats-config.ts';
export { type Permissions, permissionsOf } from './permissions.ts';
export { docsSubjects } from './subjects-document.ts';
