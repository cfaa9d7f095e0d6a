import { expect, test } from '@jest/globals';
import { configKey, isConfigName, isStateKey, parseStateKey } from './state-key.ts';

test('names of configuration keys', () => {
  const good = ['a', 'A.b-c_d', 'app/greeting', 'x:y~z+1@2=3', 'a/b/c', 'x'.repeat(180), `${'.'.repeat(64)}x`];
  expect(good.filter((name) => !isConfigName(name))).toEqual([]);
  // A dot takes three characters of the 200 that a token has: with the prefix 64 of them and one more fit.
  const bad = ['', '/', '/a', 'a/', 'a//b', 'a b', 'ä', 'a\n', 'a%', '*', '>', 'x'.repeat(181), '.'.repeat(65)];
  expect(bad.filter(isConfigName)).toEqual([]);
});

test('keys of the state, also of kinds that are not known: what one token of a subject can be', () => {
  const good = ['model/a', 'next/kind', 'a.b', 'a*', '>', 'ä', ' ', 'x'.repeat(200), '.'.repeat(66)];
  expect(good.filter((key) => !isStateKey(key))).toEqual([]);
  // Escaped they would be too long for a subject, would be all keys, or the log's own; no text is half a character.
  const bad = ['', '*', '~meta', '~', 'x'.repeat(201), '.'.repeat(67), '长'.repeat(23), '\ud800'];
  expect(bad.filter(isStateKey)).toEqual([]);
});

test('a configuration key is read back, and one that nobody could write is of no known kind', () => {
  expect(parseStateKey(configKey('a/b'))).toEqual({ kind: 'config', name: 'a/b' });
  expect(parseStateKey('config/a//b')).toBeUndefined();
  expect(parseStateKey('model/m')).toEqual({ kind: 'model', name: 'm' });
});
