import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Topology } from '@meridian/topology';
import { createAuthority, createIdentity, ensureCertificates, type Identity } from './index.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NOW_MS = Date.now();
const region = (name: string) => ({
  name,
  latitude: 0,
  longitude: 0,
  zone: 'cn',
  capacity: 1,
  leafAddress: `${name}.leaf.example:7422`,
  grpcAddress: `${name}.grpc.example:7500`,
});
const topology: Topology = { regions: [region('beijing'), region('shanghai'), region('guangzhou')], links: [] };

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certificates-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function contents(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) {
      const path = join(entry.parentPath, entry.name);
      files.set(path.slice(folder.length + 1), await readFile(path, 'utf8'));
    }
  return files;
}

/** What each side says of a mutual TLS handshake. */
async function handshake(server: Identity, client: Identity): Promise<'accepted' | 'refused'> {
  const listener = createServer({ ...server, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' });
  listener.on('tlsClientError', () => {});
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening));
  try {
    return await new Promise((resolve) => {
      const socket = connect({
        ...client,
        port: (listener.address() as AddressInfo).port,
        host: '127.0.0.1',
        servername: 'meridian',
      });
      listener.once('secureConnection', (accepted) => {
        accepted.on('error', () => {});
        accepted.end('welcome');
      });
      socket.once('data', () => resolve('accepted'));
      socket.once('error', () => resolve('refused'));
      socket.once('close', () => resolve('refused'));
    });
  } finally {
    await new Promise((closed) => listener.close(closed));
  }
}

describe('ensureCertificates', () => {
  test('makes every folder once, then keeps what is there', async () => {
    const first = await ensureCertificates({ directory, topology, clockMs: NOW_MS });
    const before = await contents(directory);
    expect([...before.keys()].filter((path) => path.startsWith('beijing')).sort()).toEqual([
      ...['broker', 'initializer'].flatMap((s) => ['ca.pem', 'cert.pem', 'key.pem'].map((f) => `beijing/${s}/${f}`)),
      'beijing/jetstream.key',
      ...['auditor', 'consumer', 'initializer', 'optimizer', 'scheduler', 'sync', 'worker'].flatMap((role) => [
        `beijing/nkeys/${role}.pub`,
        `beijing/nkeys/${role}.seed`,
      ]),
      ...['optimizer', 'scheduler', 'sync', 'worker'].flatMap((s) => [
        ...(s === 'scheduler' ? ['beijing/route.key'] : []),
        ...['ca.pem', 'cert.pem', 'key.pem'].map((f) => `beijing/${s}/${f}`),
      ]),
    ]);
    const second = await ensureCertificates({ directory, topology, clockMs: NOW_MS + DAY_MS });
    expect(await contents(directory)).toEqual(before);
    expect(second).toEqual(first);
  });

  test('secrets are readable by the owner only', async () => {
    await ensureCertificates({ directory, topology, clockMs: NOW_MS });
    for (const path of (await contents(directory)).keys())
      if (/key\.pem$|\.seed$|\.key$|links\.json$/.test(path))
        expect([path, (await stat(join(directory, path))).mode & 0o777]).toEqual([path, 0o600]);
  });

  test('certificates name the identity and the hosts that peers dial, for both ends of TLS', async () => {
    const { regions, client } = await ensureCertificates({ directory, topology, clockMs: NOW_MS });
    const read = async (folder: string) => new X509Certificate(await readFile(join(folder, 'cert.pem')));
    const broker = await read(regions.shanghai?.certificates.broker ?? '');
    expect(broker.subjectAltName?.split(', ')).toEqual([
      'URI:spiffe://meridian/shanghai/broker/1',
      'DNS:meridian',
      'DNS:localhost',
      'IP Address:127.0.0.1',
      'DNS:shanghai.leaf.example',
    ]);
    expect(broker.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(broker.ca).toBe(false);
    expect((await read(regions.shanghai?.certificates.scheduler ?? '')).subjectAltName).toContain(
      'shanghai.grpc.example',
    );
    expect((await read(client)).subjectAltName).toContain('URI:spiffe://meridian/external/client/1');
  });

  test('renews what is near its end, and all when the authority is new', async () => {
    const first = await ensureCertificates({ directory, topology, clockMs: NOW_MS });
    const before = await contents(directory);
    await ensureCertificates({ directory, topology, clockMs: NOW_MS + 70 * DAY_MS });
    const renewed = await contents(directory);
    expect(renewed.get('beijing/worker/cert.pem')).not.toBe(before.get('beijing/worker/cert.pem'));
    expect(renewed.get('beijing/nkeys/worker.seed')).toBe(before.get('beijing/nkeys/worker.seed'));
    expect(renewed.get('authority/ca.pem')).toBe(before.get('authority/ca.pem'));
    await rm(join(directory, 'authority'), { recursive: true });
    const last = await ensureCertificates({ directory, topology, clockMs: NOW_MS + 70 * DAY_MS });
    const files = await contents(directory);
    for (const [path, text] of files) if (path.endsWith('ca.pem')) expect(text).toBe(files.get('authority/ca.pem'));
    expect(files.get('beijing/worker/cert.pem')).not.toBe(renewed.get('beijing/worker/cert.pem'));
    expect(last.regions.beijing?.publicKeys).toEqual(first.regions.beijing?.publicKeys);
    expect(last.regions.beijing?.jetstreamKey).toBe(first.regions.beijing?.jetstreamKey);
  });

  test('replaces a damaged identity, refuses to replace a damaged authority', async () => {
    const { client } = await ensureCertificates({ directory, topology, clockMs: NOW_MS });
    await writeFile(join(client, 'key.pem'), 'no key');
    await ensureCertificates({ directory, topology, clockMs: NOW_MS });
    expect(() => createPrivateKey('no key')).toThrow();
    const cert = new X509Certificate(await readFile(join(client, 'cert.pem')));
    expect(cert.checkPrivateKey(createPrivateKey(await readFile(join(client, 'key.pem'))))).toBe(true);
    await writeFile(join(directory, 'authority', 'ca.pem'), 'damaged');
    await expect(ensureCertificates({ directory, topology, clockMs: NOW_MS })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      reason: 'CREDENTIALS_UNREADABLE',
    });
  });

  test('both ends of a link have the same password, each link its own; a region added later changes nothing', async () => {
    const two = { regions: topology.regions.slice(0, 2), links: [] };
    const before = await ensureCertificates({ directory, topology: two, clockMs: NOW_MS });
    const { regions } = await ensureCertificates({ directory, topology, clockMs: NOW_MS });
    expect(regions.beijing?.links.shanghai).toEqual(before.regions.beijing?.links.shanghai);
    expect(regions.beijing?.links.shanghai).toEqual(regions.shanghai?.links.beijing);
    expect(regions.beijing?.links.shanghai?.user).toBe('shanghai');
    const passwords = Object.values(regions).flatMap((r) => Object.values(r.links).map((link) => link.password));
    expect(new Set(passwords).size).toBe(3);
    expect(new Set(Object.values(regions).map((r) => r.jetstreamKey)).size).toBe(3);
  });
});

describe('createIdentity', () => {
  test('mutual TLS holds within an authority and fails across two', async () => {
    const [ours, theirs] = [await createAuthority(), await createAuthority({ name: 'nobody trusts me' })];
    const server = await createIdentity(ours, { role: 'broker', region: 'beijing', name: '1' });
    const good = await createIdentity(ours, { role: 'worker', region: 'beijing', name: '1' });
    const foreign = await createIdentity(theirs, { role: 'worker', region: 'beijing', name: '1' });
    expect(await handshake(server, good)).toBe('accepted');
    expect(await handshake(server, foreign)).toBe('refused');
    expect(await handshake(server, { ...foreign, ca: good.ca })).toBe('refused');
    const expired = await createIdentity(ours, {
      role: 'worker',
      region: 'beijing',
      name: '1',
      clockMs: NOW_MS - 91 * DAY_MS,
    });
    expect(await handshake(server, expired)).toBe('refused');
  });

  test('refuses names that would break out of the URI', async () => {
    const authority = await createAuthority();
    for (const name of ['a/b', 'A', '', 'x'.repeat(64), 'a b'])
      await expect(createIdentity(authority, { role: 'worker', region: 'beijing', name })).rejects.toMatchObject({
        reason: 'IDENTITY_INVALID',
      });
  });
});
