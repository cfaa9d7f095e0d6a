import { expect, test } from '@jest/globals';
import { configKey, isConfigName, parseStateKey } from './state-key.ts';

test('names of configuration keys', () => {
  const good = ['a', 'A.b-c_d', 'app/greeting', 'x:y~z+1@2=3', 'a/b/c', 'x'.repeat(180), `${'.'.repeat(64)}x`];
  expect(good.filter((name) => !isConfigName(name))).toEqual([]);
  // A dot takes three characters of the 200 that a token has: with the prefix 64 of them and one more fit.
  const bad = ['', '/', '/a', 'a/', 'a//b', 'a b', 'ä', 'a\n', 'a%', '*', '>', 'x'.repeat(181), '.'.repeat(65)];
  expect(bad.filter(isConfigName)).toEqual([]);
});

test('a configuration key is read back, and one that nobody could write is of no known kind', () => {
  expect(parseStateKey(configKey('a/b'))).toEqual({ kind: 'config', name: 'a/b' });
  expect(parseStateKey('config/a//b')).toBeUndefined();
  expect(parseStateKey('model/m')).toEqual({ kind: 'model', name: 'm' });
});
