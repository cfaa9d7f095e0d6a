import { Failure } from '@meridian/failure';
import { z } from 'zod';

/**
 * Configuration is read once, from environment variables, into a frozen object in which nothing is optional that has a
 * default. Field `natsUrl` is variable `MERIDIAN_NATS_URL`. An empty variable counts as unset.
 *
 * @throws Failure INVALID_ARGUMENT / CONFIG_INVALID that lists every problem, each with the name of its variable.
 */
export function parseConfig<S extends z.ZodObject>(
  schema: S,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<z.output<S>> {
  const given: Record<string, string> = {};
  for (const field of Object.keys(schema.shape)) {
    const text = env[variableOf(field)]?.trim();
    if (text !== undefined && text !== '') given[field] = text;
  }
  const parsed = schema.safeParse(given);
  if (parsed.success) return Object.freeze(parsed.data);
  const problems = parsed.error.issues.map((issue) => {
    const field = String(issue.path[0] ?? '');
    const where = field === '' ? 'configuration' : variableOf(field);
    return `${where}: ${field in given || field === '' ? issue.message : 'is required'}`;
  });
  throw new Failure('INVALID_ARGUMENT', `the configuration is not valid:\n  ${problems.join('\n  ')}`, {
    reason: 'CONFIG_INVALID',
  });
}

/** `natsUrl` → `MERIDIAN_NATS_URL`. */
export function variableOf(field: string): string {
  return `MERIDIAN_${field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

const DURATION_UNITS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** Milliseconds: `1500`, `1500ms`, `10s`, `5m`, `1h`. Bounds in ms. */
export function durationMs(minMs = 0, maxMs = 24 * 3_600_000) {
  return quantity(DURATION_UNITS, 'a duration such as 1500, 1500ms, 10s or 5m', minMs, maxMs, 'ms');
}

/** Bytes: `1048576`, `64MiB`, `512KiB`, `10MB`. Bounds in bytes. */
export function byteSize(minBytes = 0, maxBytes = 2 ** 40) {
  return quantity(BYTE_UNITS, 'a size such as 1048576, 512KiB or 64MiB', minBytes, maxBytes, 'bytes');
}

function quantity(units: Readonly<Record<string, number>>, expected: string, min: number, max: number, unit: string) {
  return z.union([z.string(), z.number()]).transform((input, context) => {
    const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(String(input));
    const factor = units[match?.[2] ?? ''];
    if (match === null || factor === undefined) {
      context.addIssue({ code: 'custom', message: `expected ${expected}, found ${quote(input)}` });
      return z.NEVER;
    }
    const value = Math.round(Number(match[1]) * factor);
    if (value >= min && value <= max) return value;
    context.addIssue({ code: 'custom', message: `expected ${min} … ${max} ${unit}, found ${value}` });
    return z.NEVER;
  });
}

/** 0 … 65535; 0 asks for any free port. */
export function port() {
  return text('a port, 0 … 65535', (input) => {
    const value = /^\d{1,5}$/.test(input) ? Number(input) : Number.NaN;
    return value <= 65_535 ? value : undefined;
  });
}

/** `host:port` or `[v6]:port`, kept as text; port 0 asks for any free one. */
export function hostPort() {
  return text('host:port', (input) => {
    const match = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})$/.exec(input);
    return match !== null && Number(match[1]) <= 65_535 ? input : undefined;
  });
}

/** 0 … 1. */
export function fraction() {
  return text('a number from 0 to 1', (input) => {
    const value = Number(input);
    return value >= 0 && value <= 1 ? value : undefined;
  });
}

/** true, yes, on, 1 · false, no, off, 0. */
export function flag() {
  return text('true or false', (input) => {
    if (/^(?:true|yes|on|1)$/i.test(input)) return true;
    return /^(?:false|no|off|0)$/i.test(input) ? false : undefined;
  });
}

function text<T>(expected: string, read: (input: string) => T | undefined) {
  return z.union([z.string(), z.number(), z.boolean()]).transform((input, context): T => {
    const value = read(String(input));
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `expected ${expected}, found ${quote(input)}` });
    return z.NEVER;
  });
}

function quote(input: unknown): string {
  return JSON.stringify(String(input).slice(0, 60));
}

/** One token that fits subjects, event sources and file names alike. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const REPLICA = /^[A-Za-z0-9_-]{1,63}$/;

/** Fields of every service: spread into its schema. */
export const commonConfig = {
  /** Region that the process belongs to. */
  region: z.string().regex(NAME, 'expected 1–63 of a–z, 0–9 and inner hyphens'),
  /** Distinguishes replicas of a service inside a region. */
  replica: z.string().regex(REPLICA, 'expected 1–63 of letters, digits, _ and -').default('1'),
  /** The region's own view of regions.yaml. */
  topologyFile: z.string(),
  /** `tls://host:port` of the region's broker. */
  natsUrl: z.string().regex(/^(?:tls|nats):\/\/\S+$/, 'expected tls://host:port'),
  /** File with the nkey seed of the service's role. */
  natsSeedFile: z.string(),
  /** Folder with ca.pem, cert.pem and key.pem. */
  tlsDirectory: z.string(),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Where Prometheus may ask for metrics; unset: nothing is measured or served. */
  metricsListen: hostPort().optional(),
  /** Where whoever runs the process may ask `/livez` and `/readyz` (plain HTTP); unset: nowhere. */
  healthListen: hostPort().optional(),
  /** OTLP/HTTP trace endpoint, e.g. http://127.0.0.1:4318/v1/traces; unset: spans stay in the region. */
  otlpUrl: z.url().optional(),
  /** Part of new traces that are recorded. Lower costs less CPU; a task that is not recorded cannot be shown. */
  traceSampleRatio: fraction().default(1),
  /** How long shutdown waits for work in flight. Longer loses less work, shorter restarts faster. */
  drainTimeoutMs: durationMs(0, 600_000).default(10_000),
  /** Where the process may keep files. */
  stateDirectory: z.string(),
};

const commonSchema = z.object(commonConfig);
export type CommonConfig = Readonly<z.output<typeof commonSchema>>;
