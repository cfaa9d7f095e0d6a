import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { annotationPaths } from './annotation-paths.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-annotation-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a single picture goes to the path itself, or into a folder that is there', async () => {
  const out = join(folder, 'out.jpg');
  expect([...(await annotationPaths(out, ['a/x.png']))]).toEqual([['a/x.png', out]]);
  expect((await annotationPaths(folder, ['a/x.png'])).get('a/x.png')).toBe(join(folder, 'x.png.jpg'));
});

test('several pictures go into a folder that is made, none over another', async () => {
  const out = join(folder, 'new', 'out');
  const paths = await annotationPaths(out, ['a/x.png', 'b/x.png', 'c/x.png', 'a/x.png']);
  expect([...paths.values()]).toEqual(['x.png.jpg', 'x.png-2.jpg', 'x.png-3.jpg'].map((name) => join(out, name)));
  expect((await stat(out)).isDirectory()).toBe(true);
});

test('what cannot be written is said before anything is sent', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  await expect(annotationPaths(join(folder, 'no', 'out.jpg'), ['x.png'])).rejects.toThrow(
    /cannot write .*out\.jpg: there is no such file or folder/,
  );
  await expect(annotationPaths(file, ['x.png', 'y.png'])).rejects.toThrow(
    /file: it is there already, and is no folder/,
  );
});
