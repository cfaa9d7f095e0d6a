import { pino } from 'pino';

export type Logger = pino.Logger;

/** Unwritten log kept while stderr is blocked; beyond it lines are dropped rather than stopping the service. */
const LOG_BUFFER_BYTES_MAX = 4 * 2 ** 20;

/** JSON lines on stderr, written without blocking; what is buffered is written at exit. */
export function createLogger(options: { name: string; region: string; level: string }): Logger {
  return pino(
    {
      level: options.level,
      base: { service: options.name, region: options.region, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.errWithCause, error: pino.stdSerializers.errWithCause },
    },
    pino.destination({ fd: 2, sync: false, maxLength: LOG_BUFFER_BYTES_MAX }),
  );
}
