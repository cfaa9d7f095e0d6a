import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  byteSize,
  commonConfig,
  durationMs,
  flag,
  fraction,
  hostPort,
  parseConfig,
  port,
  variableOf,
} from './config.ts';

const minimal = {
  MERIDIAN_REGION: 'beijing',
  MERIDIAN_TOPOLOGY_FILE: '/s/regions.yaml',
  MERIDIAN_NATS_URL: 'tls://127.0.0.1:4222',
  MERIDIAN_NATS_SEED_FILE: '/s/worker.seed',
  MERIDIAN_TLS_DIRECTORY: '/s/tls',
  MERIDIAN_STATE_DIRECTORY: '/s',
};

describe('parseConfig', () => {
  test('fills defaults, takes an empty variable for unset, and freezes', () => {
    const config = parseConfig(z.strictObject(commonConfig), {
      ...minimal,
      MERIDIAN_DRAIN_TIMEOUT_MS: ' ',
      HOME: '/x',
    });
    expect(config).toMatchObject({ region: 'beijing', replica: '1', drainTimeoutMs: 10_000, traceSampleRatio: 1 });
    expect(config.metricsListen).toBeUndefined();
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('lists every problem with the name of its variable', () => {
    const env = { ...minimal, MERIDIAN_REGION: 'Beijing!', MERIDIAN_NATS_URL: '', MERIDIAN_DRAIN_TIMEOUT_MS: '1 day' };
    let message = '';
    try {
      parseConfig(z.strictObject(commonConfig), env);
    } catch (error) {
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'CONFIG_INVALID' });
      message = String(error);
    }
    expect(message).toMatch(/MERIDIAN_REGION: expected 1–63/);
    expect(message).toContain('MERIDIAN_NATS_URL: is required');
    expect(message).toContain('MERIDIAN_DRAIN_TIMEOUT_MS: expected a duration such as');
  });

  test('a cross-field check names its variable', () => {
    const schema = z
      .object({ lowMs: durationMs(), highMs: durationMs() })
      .refine((c) => c.lowMs < c.highMs, { path: ['highMs'], message: 'must be above lowMs' });
    expect(() => parseConfig(schema, { MERIDIAN_LOW_MS: '2s', MERIDIAN_HIGH_MS: '1s' })).toThrow(
      /MERIDIAN_HIGH_MS: must be above lowMs/,
    );
  });

  test('field names become variables', () => {
    expect(variableOf('traceSampleRatio')).toBe('MERIDIAN_TRACE_SAMPLE_RATIO');
  });
});

describe('field builders', () => {
  test.each([
    [durationMs(), '1500', 1_500],
    [durationMs(), '1.5s', 1_500],
    [durationMs(), '2m', 120_000],
    [byteSize(), '64MiB', 64 * 2 ** 20],
    [byteSize(), '10kB', 10_000],
    [port(), '0', 0],
    [port(), '65535', 65_535],
    [hostPort(), '127.0.0.1:0', '127.0.0.1:0'],
    [hostPort(), '[::1]:80', '[::1]:80'],
    [fraction(), '0.25', 0.25],
    [flag(), 'Yes', true],
    [flag(), '0', false],
  ])('%# accepts %j as %j', (schema: z.ZodType, text, value) => {
    expect(schema.parse(text)).toEqual(value);
  });

  test.each([
    [durationMs(0, 1_000), '2s'],
    [durationMs(), '-1'],
    [durationMs(), '1 fortnight'],
    [byteSize(1), '0'],
    [byteSize(), '1e9'],
    [port(), '65536'],
    [port(), '1.5'],
    [hostPort(), 'localhost'],
    [hostPort(), 'a:99999'],
    [fraction(), '1.01'],
    [fraction(), 'NaN'],
    [flag(), 'maybe'],
  ])('%# refuses %j', (schema: z.ZodType, text) => {
    expect(schema.safeParse(text).success).toBe(false);
  });
});
