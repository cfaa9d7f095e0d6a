import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';

/** Rules of the house that no linter knows. Each failure lists the places. */
const repository = resolve(import.meta.dirname, '..', '..');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: repository,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsFile(file));
const source = files.filter((file) => file.endsWith('.ts') && !file.includes('/gen/'));
const product = source.filter((file) => !file.startsWith('test/') && !file.endsWith('.test.ts'));

function existsFile(file: string): boolean {
  return statSync(join(repository, file), { throwIfNoEntry: false })?.isFile() ?? false;
}

function places(among: readonly string[], pattern: RegExp, allowed: readonly RegExp[] = []): string[] {
  return among
    .filter((file) => !allowed.some((exception) => exception.test(file)))
    .flatMap((file) =>
      readFileSync(join(repository, file), 'utf8')
        .split('\n')
        .flatMap((line, i) =>
          pattern.test(line) && !/^\s*(?:\*|\/\/|\/\*)/.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [],
        ),
    );
}

describe('tidy', () => {
  test('no type escapes', () => {
    expect(places(source, /(?::|<|\bas) any\b|@ts-ignore|@ts-expect-error|@ts-nocheck/, [/^test\/tidy\//])).toEqual([]);
  });

  test('no tests that are switched off', () => {
    expect(places(source, /\b(?:test|describe|it)\.(?:only|skip|todo)\b/)).toEqual([]);
  });

  test('the environment is read in the runtime and in entry points only', () => {
    const allowed = [/^packages\/runtime\//, /\/main\.ts$/, /^packages\/cli\//];
    expect(places(product, /\bprocess\.(?:env|exit)\b/, allowed)).toEqual([]);
  });

  test('domain code has no time, randomness or timers of its own', () => {
    const domain = product.filter((file) => /^(?:services|packages)\//.test(file));
    const allowed = [/^packages\/runtime\//, /\/main\.ts$/, /^packages\/cli\//];
    expect(places(domain, /\b(?:Date\.now|Math\.random|setTimeout|setInterval|performance\.now)\(/, allowed)).toEqual(
      [],
    );
  });

  test('no drawers: utils, common, helpers, core', () => {
    expect(files.filter((file) => /(?:^|\/)(?:utils?|common|helpers?|core)(?:\.ts|\/)/.test(file))).toEqual([]);
  });

  test('no export of everything, no index below a package', () => {
    expect(places(product, /^export \* from/)).toEqual([]);
    expect(
      product.filter((file) => basename(file) === 'index.ts' && !/^(?:[\w-]+\/){1,2}src\/index\.ts$/.test(file)),
    ).toEqual([]);
  });

  test('files stay readable: at most 400 lines', () => {
    const long = product.filter((file) => readFileSync(join(repository, file), 'utf8').split('\n').length > 400);
    expect(long).toEqual([]);
  });

  test('nothing large, no photographs, no weights', () => {
    expect(
      files.filter(
        (file) => /\.(?:jpe?g|png|webp|onnx|bin)$/.test(file) || statSync(join(repository, file)).size > 512 * 1024,
      ),
    ).toEqual([]);
  });
});
