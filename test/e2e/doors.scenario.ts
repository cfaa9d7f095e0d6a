import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { createAuthority, createIdentity } from '@meridian/certificates';
import { CollectorService } from '@meridian/contracts/collector';
import { RecognitionService } from '@meridian/contracts/recognition';
import { StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { awaitModels } from '@meridian/local';
import { createChannel, createClient, loadTls, type TlsFiles } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import { type RunningSystem, repository } from '../support/local-system.ts';

/**
 * Goal: no port speaks to a stranger; a client needs the proto files, a certificate and an address, and nothing else; an
 * operator brings a model of their own with one command.
 * Method: every listening port of a region, three kinds of strangers; the example client as its comment says; the
 * command line with weights that no region has.
 */
let running: RunningSystem;
let ports: [name: string, port: number][];

/** @param current the system that the suite has started */
export function doors(current: () => RunningSystem): void {
  describe('doors', () => {
    beforeAll(() => {
      running = current();
      const plan = running.system.region('beijing').settings.plan.ports;
      ports = [
        ['scheduler', plan.scheduler],
        ['sync', plan.sync],
        ['optimizer', plan.optimizer],
        ['NATS clients', plan.client],
        ['NATS links', plan.leaf],
      ];
    });

    /** True when a TLS connection is established and still there after the server had its say. */
    function tlsHolds(port: number, identity: TlsFiles | { ca: Buffer }): Promise<boolean> {
      return new Promise((resolve) => {
        const socket = connectTls({
          host: '127.0.0.1',
          port,
          servername: 'meridian',
          ALPNProtocols: ['h2'],
          ...identity,
        });
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
        for (const [name, port] of ports.slice(0, 3)) {
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
        for (const [name, port] of ports.slice(0, 3)) {
          expect([name, await tlsHolds(port, { ca: own.ca, cert: foreign.cert, key: foreign.key })]).toEqual([
            name,
            false,
          ]);
          expect([name, await tlsHolds(port, { ca: own.ca })]).toEqual([name, false]);
          expect([name, await tlsHolds(port, own)]).toEqual([name, true]);
        }
      });

      test('a server of another authority is not spoken to', async () => {
        const foreign = await createIdentity(await createAuthority(), {
          role: 'client',
          region: 'external',
          name: 'eve',
        });
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
        await expect(attach.messages[Symbol.asyncIterator]().next()).rejects.toMatchObject({
          code: 'PERMISSION_DENIED',
        });
        const worker = createClient(RecognitionService, await running.channel('beijing', 'beijing/worker'));
        await expect(worker.listJobs({}, { timeoutMs: 5000 })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
        const state = createClient(StateService, await running.syncChannel('beijing', 'client'));
        const refused = await state
          .reportReady({ modelDigest: 'x', worker: 'x', ready: true }, { timeoutMs: 5000 })
          .catch((error: unknown) => Failure.from(error));
        expect(refused).toMatchObject({ code: 'PERMISSION_DENIED' });
      });
    });

    /** Runs one of our programs to its end. */
    async function node(script: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
      const child = spawn(process.execPath, [join(repository, script), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
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

    const photograph = () => running.provisioned.samples.find(({ file }) => file.startsWith('astronaut'))?.path ?? '';

    describe('the example client', () => {
      /** `node recognize.mjs host:port TLS_DIRECTORY photo.jpg` */
      const example = (address: string, tls: string) => node('docs/examples/recognize.mjs', address, tls, photograph());

      test('finds the person, and says in one line what is wrong with an address or a certificate', async () => {
        const { system, stateRoot } = running;
        const own = system.installation.client;
        const answer = await example(system.schedulerAddress('beijing'), own);
        expect(answer).toMatchObject({ code: 0, err: '' });
        expect(answer.out).toMatch(/^person 0\.\d\d \{"x0":0\.\d+,"y0":0\.\d+,"x1":0\.\d+,"y1":0\.\d+\}$/m);

        const foreign = await createIdentity(await createAuthority(), {
          role: 'client',
          region: 'external',
          name: 'eve',
        });
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

    describe('a model of one’s own', () => {
      const meridian = (...args: string[]) => node('packages/cli/src/main.ts', '--state', running.stateRoot, ...args);

      /** BlazeFace under another name, with weights that differ in a comment: no region has them. */
      async function ownModel(name: string, change: (manifest: string) => string) {
        const { models } = running.system.paths;
        const manifest = await readFile(join(models, 'blazeface', 'manifest.yaml'), 'utf8');
        const digest = /digest: sha256:([0-9a-f]{64})/.exec(manifest)?.[1] ?? '';
        const files = {
          weights: join(running.stateRoot, `${name}.onnx`),
          manifest: join(running.stateRoot, `${name}.yaml`),
        };
        // Field 6 of ONNX's ModelProto: its documentation.
        const comment = Buffer.concat([Buffer.from([0x32, name.length]), Buffer.from(name)]);
        await writeFile(files.weights, Buffer.concat([await readFile(join(models, 'blobs', digest)), comment]));
        const own = manifest.replace(/^name: .*/m, `name: ${name}`).replaceAll(/^ +(digest|bytes): .*\n/gm, '');
        await writeFile(files.manifest, change(own));
        return [files.weights, '--manifest', files.manifest] as const;
      }

      test('runs everywhere, its weights having come from where it was added, whichever region a picture enters', async () => {
        const own = await ownModel('own', (manifest) => manifest);
        const added = await meridian('models', 'add', ...own, '-r', 'shanghai', '--everywhere');
        const where = /^own [0-9a-f]{12} can be run in beijing, shanghai\n$/;
        expect(added).toMatchObject({ code: 0, out: expect.stringMatching(where) });
        const seen = await meridian('recognize', photograph(), '--model', 'own', '--region', 'beijing');
        expect(seen.out).toMatch(/face +\d\d %[\s\S]*entry beijing, ran (?:there|in shanghai)/);
      });

      test('that does not fit is refused with what the graph has, and holds up no later start', async () => {
        const misfit = await ownModel('misfit', (manifest) => manifest.replace(/^( +)name: \w+/m, '$1name: pixels'));
        const refused = await meridian('models', 'add', ...misfit, '--region', 'beijing');
        expect([refused.code, refused.out]).toEqual([1, '']);
        const problem = /beijing cannot run it: the manifest names input pixels, the model has \w+\n$/;
        expect(refused.err).toMatch(problem);
        expect((await meridian('models', 'list', '--region', 'beijing')).out).toMatch(
          /^beijing cannot run misfit: the manifest/m,
        );
        await awaitModels(running.system, systemClock);
      });
    });
  });
}
