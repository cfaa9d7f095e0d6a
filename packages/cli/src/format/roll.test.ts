import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { AliasViewSchema, RollPhase, RollState } from '@meridian/contracts/roll';
import { formatAliases, formatRoll, isOver } from './roll.ts';

const target = (model: string, character: string) => ({ model, modelDigest: `sha256:${character.repeat(64)}` });
const record = {
  ...{ alias: 'detector', old: target('small', 'a'), new: target('large', 'b'), rollId: 'r1', region: 'beijing' },
  ...{ waves: [{ regions: ['beijing'] }, { regions: ['shanghai'] }], startedUnixMs: 1n },
};
const view = create(AliasViewSchema, {
  record,
  state: RollState.FAILED,
  regions: [
    {
      ...{ region: 'beijing', wave: 1, serves: target('small', 'a') },
      phase: {
        ...{ rollId: 'r1', phase: RollPhase.FAILED, reason: 'too slow' },
        ...{ old: { tasks: 60, p95Ms: 10 }, new: { tasks: 50, errors: 1, p95Ms: 50 } },
      },
    },
    { region: 'shanghai', wave: 2, serves: target('small', 'a') },
  ],
  losers: [{ ...record, rollId: 'r2', region: 'shanghai' }],
});

test('a roll with its regions, their evidence, and the roll that lost against it', () => {
  const lines = formatRoll(view).split('\n');
  expect(lines[0]).toMatch(
    /^detector: small a{12} → large b{12}, begun in beijing at .*: failed, all regions are back$/,
  );
  expect(lines[3]).toMatch(/^beijing +1 +failed +small +60 tasks, 10 ms +50 tasks, 1 failed, 50 ms +too slow$/);
  expect(lines[4]).toMatch(/^shanghai +2 +waits +small +– +–$/);
  expect(lines[5]).toMatch(/^conflict: shanghai rolled it to large at the same time; that one lost \(roll r2\)$/);
  expect(isOver(view)).toBe(true);
});

test('aliases with what they mean; a settled one in short', () => {
  const settled = create(AliasViewSchema, { record, state: RollState.SETTLED });
  expect(formatAliases([settled])).toMatch(/^detector +large b{12}$/m);
  expect(formatAliases([])).toMatch(/^no aliases/);
});
