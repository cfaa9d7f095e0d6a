import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { SpanSchema } from '@meridian/contracts/region';
import { attributeNames } from '@meridian/runtime';
import { formatWaterfall } from './waterfall.ts';

const span = (spanId: string, parentSpanId: string, startUnixMs: number, durationMs: number, more: object = {}) =>
  create(SpanSchema, {
    spanId,
    parentSpanId,
    startUnixMs,
    durationMs,
    name: `n${spanId}`,
    service: 's',
    region: 'beijing',
    ...more,
  });

describe('formatWaterfall', () => {
  test('children stand below their parents by start, bars show when and how long, remarks say attempt and reason', () => {
    const attributes = { [attributeNames.attempt]: '2', [attributeNames.reason]: 'worker-lost' };
    const text = formatWaterfall([
      span('c', 'a', 1_050, 50, { region: 'shanghai', error: true, attributes }),
      span('b', 'a', 1_000, 25),
      span('a', '', 1_000, 100),
    ]);
    const lines = text.split('\n').slice(2);
    expect(lines.map((line) => /n[abc]/.exec(line)?.[0])).toEqual(['na', 'nb', 'nc']);
    expect(lines[0]).toContain('█'.repeat(40));
    expect(lines[1]).toMatch(/ {2}nb {2}█{10} /);
    expect(lines[2]).toMatch(/shanghai {4}nc {22}▒{20} .* 50 ms {2}attempt 2 \(worker-lost\) failed$/);
  });

  test('a span without its parent is a root, a cycle shows each span once, and nothing is said', () => {
    expect(formatWaterfall([span('x', 'missing', 0, 0)]).split('\n')).toHaveLength(3);
    expect(formatWaterfall([span('a', 'b', 0, 1), span('b', 'a', 0, 1)]).split('\n')).toHaveLength(4);
    expect(formatWaterfall([])).toBe('no spans');
  });

  test('the parts that a worker measured are drawn below its span, up to its end', () => {
    const { fetchMs, waitMs, decodeMs, inferenceMs } = attributeNames;
    const attributes = { [fetchMs]: '20.00', [waitMs]: '0.00', [decodeMs]: '10.00', [inferenceMs]: '50.00' };
    const lines = formatWaterfall([span('w', '', 1_000, 100, { attributes })])
      .split('\n')
      .slice(2);
    expect(lines.map((line) => /nw(?:: \w+)?/.exec(line)?.[0])).toEqual([
      'nw',
      'nw: fetch',
      'nw: decode',
      'nw: inference',
    ]);
    expect(lines[1]).toMatch(/nw: fetch {6} {8}█{8} /);
    expect(lines[2]).toMatch(/nw: decode {5} {16}█{4} /);
    expect(lines[3]).toMatch(/nw: inference {2} {20}█{20} /);
  });

  test('more spans than anybody reads are cut', () => {
    const many = Array.from({ length: 205 }, (_, i) => span(`s${i}`, '', i, 1));
    expect(formatWaterfall(many)).toMatch(/… and 5 more spans$/);
  });
});
