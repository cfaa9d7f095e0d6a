import { Failure } from '@meridian/failure';
import { z } from 'zod';
import { type Clock, systemClock } from './clock.ts';
import { commonConfig, parseConfig } from './config.ts';
import { HealthDoor } from './health-door.ts';
import { type Component, Lifecycle } from './lifecycle.ts';
import { createLogger, type Logger } from './logger.ts';
import { type Random, systemRandom } from './random.ts';
import { startTelemetry, type Telemetry } from './telemetry.ts';

/** What a service's composition gets from the process it runs in. */
export interface ServiceContext<C> {
  readonly config: C;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

export interface ServiceComposition {
  /** In the order of their start. */
  readonly components: Component[];
  /** Merged into the ready message, e.g. the ports that were taken. Called once everything runs. */
  readonly info?: () => Record<string, unknown>;
  /**
   * Why the process cannot do its job now, for people; undefined when it can. Asked only while everything runs. It must
   * not depend on another region: one that is cut off, or the first of all, does its job.
   */
  readonly problem?: () => string | undefined;
}

export interface Service<S extends z.ZodObject> {
  readonly name: string;
  /** Contains `commonConfig`. */
  readonly schema: S;
  readonly compose: (context: ServiceContext<Readonly<z.output<S>>>) => Promise<ServiceComposition>;
}

/** For stopping one component: closing sockets and files, not finishing work. */
const STOP_TIMEOUT_MS = 5_000;
/** For the last spans; the process must not hang on an exporter that does not answer. */
const TELEMETRY_TIMEOUT_MS = 2_000;

/**
 * The one way in which a service process lives.
 *
 * 1. The configuration is read first; if anything in it is wrong the process ends with code 1 before it touches anything.
 * 2. `ready` is logged, and sent to a parent that has an IPC channel, only when every component runs.
 * 3. SIGTERM, SIGINT or the parent's end drain, then stop; a second signal ends the process at once.
 * 4. `/readyz` of the health port, if there is one, is 200 from then until a stop begins, while the composition sees no problem.
 * 5. A broken invariant or an unhandled rejection ends the process with code 1: its state can no longer be trusted.
 */
export async function runService<S extends z.ZodObject>(service: Service<S>): Promise<void> {
  const { config, common } = readConfig(service);
  const logger = createLogger({ name: service.name, region: common.region, level: common.logLevel });
  crashOnBrokenInvariants(logger);
  const telemetry = startTelemetry({
    service: service.name,
    region: common.region,
    replica: common.replica,
    sampleRatio: common.traceSampleRatio,
    otlpUrl: common.otlpUrl,
    metricsListen: common.metricsListen,
  });
  let isStopping = () => false;
  let problem: () => string | undefined = () => 'starting';
  const health =
    common.healthListen === undefined
      ? undefined
      : new HealthDoor(common.healthListen, () => (isStopping() ? 'stopping' : problem()));
  try {
    await telemetry.listening;
    await health?.listening;
    const context = { config, logger, clock: systemClock, random: systemRandom, telemetry };
    const { components, info, problem: found } = await service.compose(context);
    const lifecycle = new Lifecycle(components, {
      drainTimeoutMs: common.drainTimeoutMs,
      stopTimeoutMs: STOP_TIMEOUT_MS,
      logger,
      clock: systemClock,
    });
    isStopping = stopOnSignal(lifecycle, telemetry, logger);
    await lifecycle.start();
    problem = found ?? (() => undefined);
    announce({ ...portsOf(telemetry, health), ...info?.() }, logger);
  } catch (error) {
    // During a shutdown the signal handler decides the exit code.
    if (isStopping()) return;
    const failure = Failure.from(error);
    logger.fatal({ err: error }, `could not start: ${failure.code === 'INTERNAL' ? String(error) : failure.message}`);
    process.exit(1);
  }
}

function readConfig<S extends z.ZodObject>(service: Service<S>) {
  try {
    const config = parseConfig(service.schema, process.env);
    return { config, common: parseConfig(z.object(commonConfig), process.env) };
  } catch (error) {
    process.stderr.write(`${service.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return process.exit(1);
  }
}

function portsOf(telemetry: Telemetry, health: HealthDoor | undefined): Record<string, number> {
  const [metricsPort, healthPort] = [telemetry.prometheusPort, health?.port];
  return { ...(metricsPort !== undefined && { metricsPort }), ...(healthPort !== undefined && { healthPort }) };
}

function announce(info: Record<string, unknown>, logger: Logger): void {
  logger.info(info, 'ready');
  if (process.connected) process.send?.({ type: 'ready', ...info });
}

/** @returns whether a signal has come. */
function stopOnSignal(lifecycle: Lifecycle, telemetry: Telemetry, logger: Logger): () => boolean {
  let stopping = false;
  const stop = (cause: string) => {
    if (stopping) {
      if (cause !== 'parent') process.exit(1);
      return;
    }
    stopping = true;
    logger.info({ cause }, 'stopping');
    void shutDown(lifecycle, telemetry, logger).then((code) => process.exit(code));
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // Without its parent nobody would ever stop this process.
  if (process.send !== undefined) process.on('disconnect', () => stop('parent'));
  return () => stopping;
}

async function shutDown(lifecycle: Lifecycle, telemetry: Telemetry, logger: Logger): Promise<0 | 1> {
  let code: 0 | 1 = 0;
  try {
    await lifecycle.shutdown();
  } catch (error) {
    logger.error({ err: error }, 'stopped with failures');
    code = 1;
  }
  const flushed = telemetry.flush().then(() => telemetry.shutdown());
  await Promise.race([flushed.catch(() => undefined), systemClock.sleep(TELEMETRY_TIMEOUT_MS)]);
  logger.info({ code }, 'stopped');
  return code;
}

function crashOnBrokenInvariants(logger: Logger): void {
  const crash = (kind: string) => (error: unknown) => {
    logger.fatal({ err: error }, kind);
    process.exit(1);
  };
  process.on('uncaughtException', crash('uncaught exception'));
  process.on('unhandledRejection', crash('unhandled rejection'));
}
