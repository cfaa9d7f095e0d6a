// What only processes that serve need: it brings OpenTelemetry's SDK, three times as much to load as all the rest.
export { runService } from './run-service.ts';
export { startTelemetry } from './telemetry.ts';
