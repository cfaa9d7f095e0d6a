import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { MapFile } from './map-file.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-map-'));
  path = join(directory, 'map.json');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

test('what was written is read by the next life; a file that is lost or damaged is an empty one', async () => {
  expect(await new MapFile(path).read()).toEqual(new Map());
  await new MapFile(path).write(new Map([['a', '1']]));
  expect(await new MapFile(path).read()).toEqual(new Map([['a', '1']]));
  await writeFile(path, '{"a": 1}');
  expect(await new MapFile(path).read()).toEqual(new Map());
  await writeFile(path, '{"a"');
  expect(await new MapFile(path).read()).toEqual(new Map());
});

test('writes follow each other, and what changes while one is under way is in the next', async () => {
  const file = new MapFile(path);
  const map = new Map([['a', '1']]);
  const first = file.write(map);
  await Promise.resolve();
  map.set('b', '2');
  const [second, third] = [file.write(map), file.write(map)];
  expect(third).toBe(second);
  const other = file.write(new Map([['c', '3']]));
  await Promise.all([first, second]);
  await other;
  await file.settled();
  expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ c: '3' });
});

test('a write that fails is told to who asked for it, and holds up no later one', async () => {
  const file = new MapFile(join(directory, 'missing', 'map.json'));
  await expect(file.write(new Map())).rejects.toThrow('ENOENT');
  await file.settled();
  await expect(file.write(new Map())).rejects.toThrow('ENOENT');
});
