import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';

/** Every bound has a line in docs/limits.md, with its name and its file. */
const repository = resolve(import.meta.dirname, '..', '..');
const read = (file: string) => readFileSync(join(repository, file), 'utf8');
const lines = read('docs/limits.md').split('\n');
const listed = ['ls-files', '--cached', '--others', '--exclude-standard', 'packages', 'services', 'infra', 'models'];
const files = execFileSync('git', listed, { cwd: repository, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file.endsWith('.ts') && !/\.(?:test|fixture)\.ts$|\/gen\//.test(file))
  .filter((file) => existsSync(join(repository, file)));

/** `QUEUE_MAX`, and with a unit behind it `DELAY_MAX_MS`. */
const BOUND = /\b(?:const|static readonly) ([A-Z][A-Z0-9_]*_MAX(?:_[A-Z]+)?)\b/g;

test('every constant …_MAX has a line in docs/limits.md', () => {
  const bounds = files.flatMap((file) => Array.from(read(file).matchAll(BOUND), ([, name = '']) => ({ name, file })));
  expect(bounds.length).toBeGreaterThan(100);
  const hasLine = (name: string, file: string) =>
    lines.some((line) => line.includes(`\`${name}\``) && line.includes(`\`${file}\``));
  expect(bounds.filter(({ name, file }) => !hasLine(name, file))).toEqual([]);
});

test('every file that docs/limits.md names is there', () => {
  const named = lines.flatMap(
    (line) => line.match(/(?<=`)(?:packages|services|infra|models|test)\/[\w./-]+\.ts(?=`)/g) ?? [],
  );
  expect(named.filter((file) => !existsSync(join(repository, file)))).toEqual([]);
});
