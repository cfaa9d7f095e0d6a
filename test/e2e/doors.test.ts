import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAuthority, createIdentity } from '@meridian/certificates';
import { CollectorService } from '@meridian/contracts/collector';
import { RecognitionService } from '@meridian/contracts/recognition';
import { StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { createChannel, createClient, loadTls, type TlsFiles } from '@meridian/rpc';
import { type RunningSystem, repository, startLocalSystem } from '../support/local-system.ts';

/**
 * Goal: no port speaks to a stranger; a client needs the proto files, a certificate and an address, and nothing else.
 * Method: every listening port of a region, three kinds of strangers; the example client as its comment says.
 */
const START_MS = 120_000;
let running: RunningSystem;
let ports: [name: string, port: number][];

beforeAll(async () => {
  running = await startLocalSystem({ regions: ['beijing', 'shanghai'] });
  const plan = running.system.region('beijing').settings.plan.ports;
  ports = [
    ['scheduler', plan.scheduler],
    ['sync', plan.sync],
    ['NATS clients', plan.client],
    ['NATS links', plan.leaf],
  ];
}, START_MS);

afterAll(() => running?.stop(), START_MS);

/** True when a TLS connection is established and still there after the server had its say. */
function tlsHolds(port: number, identity: TlsFiles | { ca: Buffer }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: '127.0.0.1', port, servername: 'meridian', ALPNProtocols: ['h2'], ...identity });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    // HTTP/2: a server that accepts the client sends its settings. TLS 1.3 refuses client certificates after `connect`.
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'));
  });
}

describe('strangers', () => {
  test('plaintext is cut off or left without an answer on every gRPC port', async () => {
    for (const [name, port] of ports.slice(0, 2)) {
      const answer = await new Promise<string>((resolve) => {
        const socket = connectPlain(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
        let text = '';
        socket.on('data', (chunk) => {
          text += chunk.toString('latin1');
        });
        socket.on('error', () => resolve(text));
        socket.on('close', () => resolve(text));
      });
      expect([name, answer.includes('HTTP')]).toEqual([name, false]);
    }
  });

  test('a certificate of another authority, or none, gets no session', async () => {
    const foreign = await createIdentity(await createAuthority(), {
      role: 'operator',
      region: 'external',
      name: 'eve',
    });
    const own = loadTls(running.system.installation.client);
    for (const [name, port] of ports.slice(0, 2)) {
      expect([name, await tlsHolds(port, { ca: own.ca, cert: foreign.cert, key: foreign.key })]).toEqual([name, false]);
      expect([name, await tlsHolds(port, { ca: own.ca })]).toEqual([name, false]);
      expect([name, await tlsHolds(port, own)]).toEqual([name, true]);
    }
  });

  test('a server of another authority is not spoken to', async () => {
    const foreign = await createIdentity(await createAuthority(), { role: 'client', region: 'external', name: 'eve' });
    const channel = createChannel({
      address: running.system.schedulerAddress('beijing'),
      tls: foreign,
      windowBytes: 2 ** 20,
    });
    const client = createClient(RecognitionService, channel);
    await expect(client.listJobs({}, { timeoutMs: 3000 })).rejects.toMatchObject({
      code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/),
    });
    channel.close();
  });
});

describe('roles', () => {
  test('each certificate may call what its role is for, and nothing else', async () => {
    const door = await running.channel('beijing', 'client');
    const attach = createClient(CollectorService, door).openDuplex('attach', {});
    await expect(attach.messages[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const worker = createClient(RecognitionService, await running.channel('beijing', 'beijing/worker'));
    await expect(worker.listJobs({}, { timeoutMs: 5000 })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const state = createClient(StateService, await running.syncChannel('beijing', 'client'));
    const refused = await state
      .reportReady({ modelDigest: 'x', worker: 'x', ready: true }, { timeoutMs: 5000 })
      .catch((error: unknown) => Failure.from(error));
    expect(refused).toMatchObject({ code: 'PERMISSION_DENIED' });
  });
});

describe('the example client', () => {
  /** `node recognize.mjs host:port TLS_DIRECTORY photo.jpg` */
  async function example(address: string, tls: string) {
    const photograph = running.provisioned.samples.find(({ file }) => file.startsWith('astronaut'))?.path ?? '';
    const script = join(repository, 'docs', 'examples', 'recognize.mjs');
    const child = spawn(process.execPath, [script, address, tls, photograph], { stdio: ['ignore', 'pipe', 'pipe'] });
    const texts = { out: '', err: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      texts.out += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      texts.err += chunk;
    });
    const [code] = await once(child, 'close');
    return { code, ...texts };
  }

  test('finds the person, and says in one line what is wrong with an address or a certificate', async () => {
    const { system, stateRoot } = running;
    const own = system.installation.client;
    const answer = await example(system.schedulerAddress('beijing'), own);
    expect(answer).toMatchObject({ code: 0, err: '' });
    expect(answer.out).toMatch(/^person 0\.\d\d \{"x0":0\.\d+,"y0":0\.\d+,"x1":0\.\d+,"y1":0\.\d+\}$/m);

    const foreign = await createIdentity(await createAuthority(), { role: 'client', region: 'external', name: 'eve' });
    const strange = join(stateRoot, 'strange');
    await mkdir(strange);
    await writeFile(join(strange, 'ca.pem'), loadTls(own).ca);
    await writeFile(join(strange, 'cert.pem'), foreign.cert);
    await writeFile(join(strange, 'key.pem'), foreign.key);
    const table: [address: string, tls: string, problem: RegExp][] = [
      ['127.0.0.1:1', own, /^127\.0\.0\.1:1: No connection established.*ECONNREFUSED.*\n$/],
      [system.schedulerAddress('beijing'), strange, /^127\.0\.0\.1:\d+: No connection established.*\n$/],
      [system.schedulerAddress('beijing'), join(stateRoot, 'nowhere'), /^ENOENT.*ca\.pem'\n$/],
      [system.schedulerAddress('beijing'), join(own, '..', 'beijing', 'worker'), /is not for the role worker\n$/],
    ];
    for (const [address, tls, problem] of table)
      expect(await example(address, tls)).toEqual({ code: 1, out: '', err: expect.stringMatching(problem) });
  });
});
