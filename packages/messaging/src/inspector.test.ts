import { describe, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import { createLogger, systemClock, VirtualClock } from '@meridian/runtime';
import { createNoopMeter } from '@opentelemetry/api';
import fc from 'fast-check';
import { Emitter } from './emitter.ts';
import { encodeEvent } from './event-codec.ts';
import { Inspector, wantedTypes } from './inspector.ts';

const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const TELEMETRY = subject('telemetry', { origin: 'beijing' });
const LOADS = wantedTypes('meridian.telemetry.load.v1');

function emitter(region: string, aheadMs = 0): Emitter {
  const clock = new VirtualClock(1_700_000_000_000 + aheadMs);
  return new Emitter({
    region,
    service: 'scheduler',
    replica: '1',
    incarnation: 'x',
    clock,
    hlc: new HybridLogicalClock(() => clock.nowMs(), { driftMaxMs: 1000 }),
    knowledge: () => VersionVector.EMPTY,
  });
}

function sent(region = 'beijing', aheadMs = 0) {
  const event = { type: 'meridian.telemetry.load.v1', data: { region, outstanding: 3 } } as const;
  const { headers, data } = encodeEvent(emitter(region, aheadMs), TELEMETRY, event);
  return { subject: TELEMETRY, headers: new Map(headers), data };
}

function raw(message: { subject: string; headers: ReadonlyMap<string, string>; data: Uint8Array }) {
  return { ...message, header: (name: string) => message.headers.get(name) ?? '' };
}

function inspector(): Inspector {
  return new Inspector({ emitter: emitter('beijing'), logger, meter: createNoopMeter(), clock: systemClock });
}

describe('Inspector', () => {
  test('passes what is valid, wanted or not', () => {
    const message = raw(sent());
    expect(inspector().inspect(message, LOADS)).toMatchObject({
      type: 'meridian.telemetry.load.v1',
      data: { outstanding: 3 },
    });
    expect(inspector().inspect(message, wantedTypes('meridian.region.ping.v1'))).toBe('unwanted');
  });

  test('another region may not use our subjects, nor answer for the one that was asked', () => {
    expect(inspector().inspect(raw(sent('shanghai')), LOADS)).toBe('invalid');
    const ping = subject('ping', { target: 'shanghai' });
    const type = 'meridian.telemetry.load.v1';
    expect(inspector().inspectReply(raw(sent('beijing')), ping, type)).toBe('invalid');
    expect(inspector().inspectReply(raw(sent('shanghai')), ping, type)).toMatchObject({ type });
    expect(inspector().inspectReply(raw(sent('shanghai')), ping, 'meridian.region.pong.v1')).toBe('invalid');
  });

  test('a clock too far ahead costs a passing message, not a stored record', () => {
    const message = raw(sent('beijing', 5000));
    expect(inspector().inspect(message, LOADS)).toBe('future');
    expect(inspector().inspect(message, LOADS, true)).toMatchObject({ data: { outstanding: 3 } });
    expect(
      inspector().inspectReply(message, subject('ping', { target: 'beijing' }), 'meridian.telemetry.load.v1'),
    ).toBe('invalid');
  });

  test('whatever comes, there is a verdict', () => {
    const gate = inspector();
    const good = sent();
    const changes = fc.dictionary(
      fc.constantFrom(...good.headers.keys(), 'traceparent', 'tracestate', 'ce-signature', 'ce-causationid'),
      fc.string({ unit: 'binary', maxLength: 40 }),
      { maxKeys: 3 },
    );
    const subjects = fc.oneof(fc.constant(TELEMETRY), fc.string({ unit: 'binary' }));
    const data = fc.oneof(fc.constant(good.data), fc.uint8Array({ maxLength: 60 }));
    fc.assert(
      fc.property(subjects, changes, data, (text, changed, bytes) => {
        const message = raw({
          subject: text,
          headers: new Map([...good.headers, ...Object.entries(changed)]),
          data: bytes,
        });
        const verdict = gate.inspect(message, LOADS);
        expect(typeof verdict === 'string' || verdict.type === 'meridian.telemetry.load.v1').toBe(true);
        gate.inspectReply(message, text, 'meridian.telemetry.load.v1');
      }),
      { numRuns: 1000 },
    );
  });
});
