import { createReadStream } from 'node:fs';
import { create, toBinary } from '@bufbuild/protobuf';
import { ModelRecordSchema, StateService, type WatchResponse, WatchResponseSchema } from '@meridian/contracts/state';
import { type CatalogueModel, canonicalJson } from '@meridian/models';
import { type CallContext, Outbox, type TlsFiles } from '@meridian/rpc';
import { RpcServer } from '@meridian/rpc/server';
import { createLogger, systemClock } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';
import { absentMethods } from './absent-methods.ts';

export const ACTOR = 'beijing@00000000000000aa';

/** A sync service that knows the given models, one dot each, and remembers what workers report. */
export class ScriptedSync {
  readonly ready = new Map<string, boolean>();
  /** Why models cannot be run, by digest. */
  readonly problems = new Map<string, string>();
  readonly #models: readonly CatalogueModel[];
  readonly #server: RpcServer;
  #port = 0;

  constructor(tls: TlsFiles, models: readonly CatalogueModel[]) {
    const { tracer } = startTelemetry({ service: 'test', region: 'beijing', replica: '1', sampleRatio: 0 });
    const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
    this.#models = models;
    this.#server = new RpcServer({ tls, windowBytes: 1024 * 1024, logger, clock: systemClock, tracer });
    this.#server.addService(
      StateService,
      { '*': ['worker'] },
      {
        ...absentMethods(StateService),
        watch: (_, context) => this.#watch(context),
        readBlob: (request) => this.#readBlob(request.digest, Number(request.offset)),
        reportReady: ({ modelDigest, ready, problem }) => {
          if (problem !== '') this.problems.set(modelDigest, problem);
          else this.problems.delete(modelDigest);
          if (ready || this.ready.has(modelDigest)) this.ready.set(modelDigest, ready);
          return Promise.resolve({ versionVector: `${ACTOR}=${this.#models.length}` });
        },
        awaitRecords: () => Promise.resolve({}),
      },
    );
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#port = await this.#server.listen('127.0.0.1:0');
  }

  stop(): Promise<void> {
    return this.#server.close();
  }

  #watch({ signal }: CallContext): Outbox<WatchResponse> {
    const outbox = new Outbox<WatchResponse>();
    const entries = this.#models.map(({ name, digest, manifest }, i) => {
      const dot = `${ACTOR}=${i + 1}`;
      const record = create(ModelRecordSchema, { name, modelDigest: digest, manifest: canonicalJson(manifest) });
      const version = { dot, hlc: '0000000000010000', value: toBinary(ModelRecordSchema, record) };
      return { key: `model/${name}`, versions: [version], context: dot };
    });
    const versionVector = `${ACTOR}=${this.#models.length}`;
    outbox.push(create(WatchResponseSchema, { entries, versionVector, caughtUp: true }));
    signal.addEventListener('abort', () => outbox.finish(), { once: true });
    return outbox;
  }

  async *#readBlob(digest: string, start: number) {
    const blob = this.#models.flatMap(({ blobs }) => blobs).find((candidate) => candidate.digest === digest);
    if (blob === undefined) throw new Error(`no blob ${digest}`);
    for await (const chunk of createReadStream(blob.path, { start })) yield { chunk: chunk as Buffer };
  }
}
