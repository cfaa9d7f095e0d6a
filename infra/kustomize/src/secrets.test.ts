import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Installation } from '@meridian/certificates';
import { readSources, type Sources } from './generated-files.ts';
import type { Manifest } from './manifest.ts';
import { secretKeys } from './secret-names.ts';
import { ensureSecrets, secretManifests } from './secrets.ts';

const repository = resolve(import.meta.dirname, '..', '..', '..');
let sources: Sources;
let directory: string;
let installation: Installation;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-keys-'));
  sources = await readSources(repository);
  installation = await ensureSecrets(directory, { ...sources, clockMs: Date.now() });
});
afterAll(() => rm(directory, { recursive: true }));

const data = (secret: Manifest | undefined) => (secret?.stringData ?? {}) as Readonly<Record<string, string>>;
const named = (secrets: readonly Manifest[], name: string) => secrets.find(({ metadata }) => metadata.name === name);
const secretsOf = (region: string) => secretManifests(installation, sources.topology, region, sources.base);

test('every region gets exactly what its pods name', async () => {
  for (const { name } of sources.topology.regions) {
    const made = new Map((await secretsOf(name)).map((one) => [one.metadata.name, new Set(Object.keys(data(one)))]));
    expect(made).toEqual(secretKeys(sources.topology, name, sources.base));
  }
});

test('both ends of a link have the same password, in quotes: digits alone would be a number to the broker', async () => {
  const beijing = data(named(await secretsOf('beijing'), 'nats-secrets'));
  const shanghai = data(named(await secretsOf('shanghai'), 'nats-secrets'));
  expect(beijing.LINK_SHANGHAI_PASSWORD).toBe(shanghai.LINK_BEIJING_PASSWORD);
  const password = JSON.parse(String(beijing.LINK_SHANGHAI_PASSWORD)) as string;
  expect(shanghai.LINK_BEIJING_URL).toBe(`"tls://shanghai:${password}@beijing.meridian.internal:7422"`);
  expect(beijing.ROUTE_PASSWORD).not.toBe(shanghai.ROUTE_PASSWORD);
  for (const value of Object.values(shanghai)) expect(value).toMatch(/^"[^"]+"$/);
});

test('a broker is known by the names that other brokers dial, and by its region', async () => {
  const pem = data(named(await secretsOf('shanghai'), 'nats-tls'))['tls.crt'] ?? '';
  const certificate = new X509Certificate(pem);
  for (const host of ['nats-0.nats-headless', 'nats-2.nats-headless', 'shanghai.meridian.internal', 'meridian'])
    expect(certificate.checkHost(host)).toBe(host);
  expect(certificate.subjectAltName).toContain('URI:spiffe://meridian/shanghai/broker/1');
});

test('a second time the same', async () => {
  const before = JSON.stringify(await secretsOf('beijing'));
  installation = await ensureSecrets(directory, { ...sources, clockMs: Date.now() });
  expect(JSON.stringify(await secretsOf('beijing'))).toBe(before);
});

test('keys are for their owner only, and never inside of the repository', async () => {
  for (const name of await readdir(directory)) expect((await stat(join(directory, name))).mode & 0o077).toBe(0);
  for (const place of ['', 'keys', repository, join(repository, 'keys'), join(repository, '.state', 'x')])
    expect(() => ensureSecrets(place, { ...sources, clockMs: 0 })).toThrow(
      expect.objectContaining({ reason: 'CERTIFICATES_PLACE' }),
    );
});
