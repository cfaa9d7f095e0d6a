import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { SERVICE_NODE_FLAGS } from '@meridian/local';
import { parseTopology } from '@meridian/topology';
import { BROKER_VERSION, brokerConfig } from './broker-config.ts';
import { LAME_DUCK_S } from './checks/running.ts';
import { IMAGES } from './overlay.ts';

/** Goal: what manifests and local runs believe of the images is what the Dockerfile builds. */
const repository = resolve(import.meta.dirname, '..', '..', '..');
let text: string;
beforeAll(async () => {
  text = await readFile(join(repository, 'infra', 'docker', 'Dockerfile'), 'utf8');
});
const stage = (name: string) => text.split(/^FROM /m).find((part) => part.split('\n', 1)[0]?.endsWith(` AS ${name}`));

test('every image that manifests name has a target, which does not run as root', () => {
  for (const image of IMAGES) expect(stage(image.slice('meridian/'.length))).toMatch(/^USER 1000:1000$/m);
});

test('services run with the flags of a local run, compiled', () => {
  const entry: unknown = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(stage('service') ?? '')?.[1] ?? '');
  expect(entry).toEqual(['node', '--conditions=built', '--disable-warning=ExperimentalWarning', ...SERVICE_NODE_FLAGS]);
});

test('its list of contents is where the label says, and pnpm is the one of the lock file', async () => {
  const assemble = await readFile(join(repository, 'infra', 'docker', 'assemble.sh'), 'utf8');
  const label = /dev\.meridian\.sbom="\/app\/(.*)"/.exec(stage('service') ?? '')?.[1];
  expect(assemble).toContain(`--out "$out/${label}"`);
  const manager = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')).packageManager as string;
  expect(`pnpm@${/PNPM_VERSION=(.*)/.exec(text)?.[1]}`).toBe(manager);
});

test('brokers are of the version that their configuration is made for', async () => {
  expect(/NATS_VERSION=(.*)/.exec(text)?.[1]).toBe(BROKER_VERSION);
  const topology = parseTopology(await readFile(join(repository, 'regions.yaml'), 'utf8'));
  const config = brokerConfig(topology, 'shanghai');
  const secondsOf = (name: string) => Number(new RegExp(`${name}: "(\\d+)s"`).exec(config)?.[1]);
  expect(secondsOf('lame_duck_grace_period') + secondsOf('lame_duck_duration')).toBe(LAME_DUCK_S);
  expect(config).toContain('sync_interval: "always"');
});
