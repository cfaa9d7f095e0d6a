import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { LoadSchema } from '@meridian/contracts/collector';
import { LoadReportSchema } from '@meridian/contracts/telemetry';
import { readLoad, readReport } from './load-news.ts';

test.each([
  ['capacity', Number.NaN],
  ['capacity', -1],
  ['price', Number.POSITIVE_INFINITY],
  ['price', 1e9],
] as const)('a report with %s %d is not believed', (field, value) => {
  const fine = { outstanding: 1, capacity: 1, price: 1, slots: 2, measuredUnixMs: 5n };
  expect(readReport(create(LoadReportSchema, fine))).toMatchObject({ outstanding: 1, slots: 2, measuredMs: 5 });
  expect(readReport(create(LoadReportSchema, { ...fine, [field]: value }))).toBeUndefined();
  expect(readLoad(create(LoadSchema, { ...fine, [field]: value }))).toBeUndefined();
});

test('of an absurd processing time only the model is left out', () => {
  const models = [1, Number.NaN, -3].map((serviceMs, i) => ({ modelDigest: `m${i}`, serviceMs }));
  const news = readReport(create(LoadReportSchema, { capacity: 1, models }));
  expect([...(news?.serviceMs ?? [])]).toEqual([['m0', 1]]);
});
