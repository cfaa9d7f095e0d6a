import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ensureCertificates, type Installation } from '@meridian/certificates';
import { RecognitionService } from '@meridian/contracts/recognition';
import { RegionService } from '@meridian/contracts/region';
import { StateService } from '@meridian/contracts/state';
import { loadTls, type ServiceHandlers } from '@meridian/rpc';
import { RpcServer } from '@meridian/rpc/server';
import { createLogger, systemClock } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';
import { parseTopology } from '@meridian/topology';
import sharp from 'sharp';
import { absentMethods } from './absent-methods.ts';
import { digest, recognitionHandlers, regionHandlers } from './canned-answers.ts';

const repository = resolve(import.meta.dirname, '..', '..');
const telemetry = startTelemetry({ service: 'test', region: 'beijing', replica: '1', sampleRatio: 0 });
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });

/** A region that is not up. */
export const away = {
  scheduler: '127.0.0.1:1',
  sync: '127.0.0.1:1',
  optimizer: '127.0.0.1:1',
  nats: 'tls://127.0.0.1:1',
};

/** The command line as a process, and a region whose doors are real and whose answers are canned. */
export class CliWorld {
  /** Folder of the local run. */
  readonly state: string;
  readonly installation: Installation;
  /** A picture of its own, which is one of two files in the folder `pictures`. */
  readonly picture: string;
  readonly doors: RpcServer[] = [];
  readonly children: ChildProcess[] = [];
  /** Each test replaces what it is about. */
  handlers: ServiceHandlers<typeof RecognitionService> = recognitionHandlers();
  /** Of the one model. */
  problem = '';
  /** What was asked to be removed. */
  removed: [name: string, force: boolean, role: string][] = [];
  /** Questions for models after which shanghai can run it, too. */
  untilShanghai = Number.POSITIVE_INFINITY;
  added: { manifest: string; bytes: number; role: string } = { manifest: '', bytes: 0, role: '' };

  private constructor(state: string, installation: Installation, picture: string) {
    this.state = state;
    this.installation = installation;
    this.picture = picture;
  }

  static async prepare(): Promise<CliWorld> {
    const state = await mkdtemp(join(tmpdir(), 'meridian-cli-'));
    await mkdir(join(state, 'run'));
    await mkdir(join(state, 'pictures'));
    const topology = parseTopology(await readFile(join(repository, 'regions.yaml'), 'utf8'));
    const directory = join(state, 'certificates');
    const installation = await ensureCertificates({ directory, topology, clockMs: Date.now() });
    const picture = join(state, 'pictures', 'grey.png');
    await sharp({ create: { width: 64, height: 32, channels: 3, background: '#888' } })
      .png()
      .toFile(picture);
    await writeFile(join(state, 'pictures', 'other.jpg'), 'not really a picture');
    return new CliWorld(state, installation, picture);
  }

  /** Before each test. */
  reset(): void {
    this.removed = [];
    this.problem = '';
    this.untilShanghai = Number.POSITIVE_INFINITY;
    this.handlers = recognitionHandlers();
  }

  /** After each test. */
  async close(): Promise<void> {
    for (const child of this.children.splice(0)) child.kill('SIGKILL');
    for (const door of this.doors.splice(0)) await door.close();
  }

  async remove(): Promise<void> {
    await rm(this.state, { recursive: true });
  }

  /** Opens both doors and writes where they are, and others. @returns the scheduler's port. */
  async open(others: Readonly<Record<string, typeof away>> = {}): Promise<number> {
    const scheduler = await this.openDoor('scheduler');
    const sync = await this.openDoor('sync');
    const regions = {
      beijing: {
        scheduler: `127.0.0.1:${scheduler}`,
        sync: `127.0.0.1:${sync}`,
        optimizer: '127.0.0.1:1',
        nats: 'tls://127.0.0.1:1',
      },
      ...others,
    };
    const control = join(this.state, 'run', 'control.sock');
    const running = { regions, control, certificates: this.installation.directory };
    await writeFile(join(this.state, 'run', 'running.json'), JSON.stringify(running));
    return scheduler;
  }

  async openDoor(role: 'scheduler' | 'sync', listen = '127.0.0.1:0'): Promise<number> {
    const directory = this.installation.regions.beijing?.certificates[role] ?? '';
    const server = new RpcServer({
      tls: loadTls(directory),
      windowBytes: 2 ** 20,
      logger,
      clock: systemClock,
      tracer: telemetry.tracer,
    });
    const everybody = { '*': ['client', 'operator'] } as const;
    if (role === 'scheduler') {
      server.addService(RecognitionService, everybody, this.handlers);
      server.addService(RegionService, everybody, regionHandlers);
    } else {
      const allow = { listModels: ['client', 'operator'], addModel: ['operator'], removeModel: ['operator'] } as const;
      server.addService(StateService, allow, this.#stateHandlers());
    }
    this.doors.push(server);
    return server.listen(listen);
  }

  async meridian(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const main = join(repository, 'packages/cli/src/main.ts');
    const child = spawn(process.execPath, [main, '--state', this.state, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.children.push(child);
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk;
    });
    const [code] = await once(child, 'close');
    return { code, out, err };
  }

  #stateHandlers(): ServiceHandlers<typeof StateService> {
    return {
      ...absentMethods(StateService),
      listModels: async () => ({
        models: [
          {
            ...{ name: 'centernet-320', modelDigest: digest, manifest: '{}', problem: this.problem },
            readyRegions: this.problem === '' ? ['beijing', ...(--this.untilShanghai < 0 ? ['shanghai'] : [])] : [],
          },
        ],
        regions: ['beijing', 'shanghai'],
      }),
      addModel: async (parts, { peer }) => {
        this.added = { manifest: '', bytes: 0, role: peer.role };
        for await (const { part } of parts) {
          if (part.case === 'manifest') this.added.manifest = part.value;
          if (part.case === 'chunk') this.added.bytes += part.value.length;
        }
        return { model: 'own', modelDigest: digest };
      },
      removeModel: ({ name, force }, { peer }) => {
        this.removed.push([name, force, peer.role]);
        return Promise.resolve({});
      },
    };
  }
}
