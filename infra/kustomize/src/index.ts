export { brokerConfig } from './broker-config.ts';
export { BROKER_PORTS, BROKERS } from './environment.ts';
export { readSources } from './generated-files.ts';
export { ensureSecrets, secretManifests } from './secrets.ts';
