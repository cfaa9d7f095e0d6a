import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock, systemRandom } from '@meridian/runtime';
import { createProgram } from '../program.ts';

const repository = resolve(import.meta.dirname, '..', '..', '..', '..');
const threeCities = join(repository, 'examples', 'three-cities.yaml');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'simulate-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function run(...args: readonly string[]): Promise<string> {
  const [input, out, err] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const terminal = { input, out, err, interactive: false };
  const context = { terminal, clock: systemClock, random: systemRandom, signal: new AbortController().signal };
  await createProgram(context, join(folder, 'no-system')).parseAsync(['simulate', ...args], { from: 'user' });
  out.end();
  return out
    .setEncoding('utf8')
    .toArray()
    .then((parts) => parts.join(''));
}

test('a table of the policies and a plot, without a running system', async () => {
  const svg = join(folder, 'plot.svg');
  const text = await run('--scenario', threeCities, '--policy', 'meridian,nearest', '--seed', '7', '--svg', svg);
  expect(text).toMatch(/three-cities, seed 7: \d+ tasks in 3 regions; bound/);
  expect(text).toMatch(/^meridian .*beijing \d+ · shanghai \d+ · guangzhou \d+$/m);
  expect(text).toMatch(/^nearest /m);
  expect(await readFile(svg, 'utf8')).toMatch(/^<svg [\s\S]*>meridian<[\s\S]*<\/svg>\n$/);
});

test('the regions and links of regions.yaml, the same for the same seed', async () => {
  const args = ['--scenario', 'calm', '--regions', join(repository, 'regions.yaml'), '--policy', 'meridian'];
  const text = await run(...args);
  expect(text).toMatch(/beijing \d+ · shanghai \d+ · guangzhou \d+/);
  expect(await run(...args)).toBe(text);
});

test('a world whose only region is away for a while has a bound all the same', async () => {
  const path = join(folder, 'one.yaml');
  const region = '{ name: a, latitude: 0, longitude: 0, zone: z, capacity: 3, leafAddress: "x:1", grpcAddress: "x:2" }';
  await writeFile(path, `regions:\n  - ${region}\n`);
  const text = await run('--scenario', 'outage', '--regions', path, '--policy', 'meridian');
  const [, over] = /^meridian .* ([\d.]+) +a 100$/m.exec(text) ?? [];
  expect(Number(over)).toBeGreaterThanOrEqual(0.99);
  expect(Number(over)).toBeLessThan(1.05);
});

test.each([
  ['a policy that does not exist', ['--policy', 'magic'], 'POLICY_UNKNOWN'],
  ['a file that is not there', ['--scenario', 'nowhere.yaml'], 'FILE'],
  ['a scenario file and --regions', ['--scenario', threeCities, '--regions', 'x'], 'SCENARIO_INVALID'],
])('%s is refused by name', async (_, args, reason) => {
  await expect(run(...args)).rejects.toThrow(expect.objectContaining({ reason }));
});

test('a scenario with an unknown region is refused by name', async () => {
  const path = join(folder, 'bad.yaml');
  const text = await readFile(threeCities, 'utf8');
  await writeFile(path, text.replace('[shanghai, guangzhou]', '[shanghai, atlantis]'));
  await expect(run('--scenario', path)).rejects.toThrow(/no region atlantis/);
});
