import { mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createAuthority, createIdentity, writeIdentity } from '@meridian/certificates';
import { loadTls } from './tls.ts';

test('reads the three files of a process, and names the one that is missing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'meridian-tls-'));
  try {
    const identity = await createIdentity(await createAuthority(), { role: 'worker', region: 'beijing', name: 'one' });
    await writeIdentity(directory, identity);
    expect(loadTls(directory)).toEqual(identity);
    unlinkSync(join(directory, 'key.pem'));
    expect(() => loadTls(directory)).toThrow(expect.objectContaining({ message: expect.stringContaining('key.pem') }));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
