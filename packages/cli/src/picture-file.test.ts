import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { listPictures, openPicture, PICTURE_BYTES_MAX, readPicture } from './picture-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-pictures-'));
});
afterEach(() => rm(folder, { recursive: true }));

const file = async (name: string, content = 'x') => {
  await mkdir(join(folder, name, '..'), { recursive: true });
  await writeFile(join(folder, name), content);
  return join(folder, name);
};

describe('listPictures', () => {
  test('takes files as given, and pictures in and below folders by name', async () => {
    for (const name of ['d/b.JPG', 'd/a/c.png', 'd/notes.txt', 'd/z.webp']) await file(name);
    const single = await file('single.bin');
    expect((await listPictures([single, join(folder, 'd')])).map(({ name }) => name)).toEqual([
      'single.bin',
      'a/c.png',
      'b.JPG',
      'z.webp',
    ]);
  });

  test('follows links to pictures, not to what is gone', async () => {
    await symlink(await file('elsewhere/a.jpg'), await file('d/x').then(() => join(folder, 'd', 'link.jpg')));
    await symlink(join(folder, 'nowhere.jpg'), join(folder, 'd', 'broken.jpg'));
    expect((await listPictures([join(folder, 'd')])).map(({ name }) => name)).toEqual(['link.jpg']);
  });

  test('a missing path and a folder without pictures are named', async () => {
    await expect(listPictures([join(folder, 'nowhere')])).rejects.toThrow(/nowhere/);
    await expect(listPictures([folder])).rejects.toThrow(/no \.jpg, \.jpeg, \.png or \.webp file in/);
  });
});

describe('a picture file', () => {
  test('has its digest and size, and can be read again', async () => {
    const path = await file('a.jpg', 'content');
    const picture = await openPicture({ path, name: 'a.jpg' });
    expect(picture).toMatchObject({ name: 'a.jpg', sizeBytes: 7 });
    expect(Buffer.from(picture.digest)).toEqual(createHash('sha256').update('content').digest());
    for (let i = 0; i < 2; i++) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of picture.read()) chunks.push(chunk);
      expect(Buffer.concat(chunks).toString()).toBe('content');
    }
  });

  test('that is empty, too large or missing is refused by name', async () => {
    await expect(readPicture(await file('empty.jpg', ''))).rejects.toMatchObject({ reason: 'PICTURE_EMPTY' });
    const large = await file('large.jpg');
    await truncate(large, PICTURE_BYTES_MAX + 1);
    await expect(openPicture({ path: large, name: 'l' })).rejects.toThrow(/large\.jpg/);
    await expect(readPicture(join(folder, 'gone.jpg'))).rejects.toThrow(/gone\.jpg/);
    await expect(readPicture(folder)).rejects.toThrow(/is a folder: `jobs submit` takes folders/);
  });

  test('a long name keeps its end, within 256 bytes of valid text', async () => {
    const path = await file('a.jpg');
    const { name } = await openPicture({ path, name: `${'长'.repeat(200)}/end.jpg` });
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(256);
    expect(name).toMatch(/^…长.*end\.jpg$/);
  });
});
