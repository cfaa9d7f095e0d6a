import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type AttachRequest,
  type AttachResponseSchema,
  CollectorService,
  type Hello,
  type Result,
} from '@meridian/contracts/collector';
import { Outbox, type TlsFiles } from '@meridian/rpc';
import { RpcServer } from '@meridian/rpc/server';
import { createLogger, systemClock } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';

type Response = MessageInitShape<typeof AttachResponseSchema>;

/** One worker's stream, from its Hello to its end. */
export interface Attachment {
  readonly hello: Hello;
  readonly heardAtMs: number[];
  send(message: Response): void;
}

/**
 * A scheduler that does what a test says, over the real wire. Unless told otherwise it gives every announced task the
 * picture that it has for it, answers heartbeats, and acknowledges every result.
 */
export class ScriptedOwner {
  readonly pictures = new Map<string, Uint8Array>();
  /** Task ids, in the order in which they came. */
  readonly announced: string[] = [];
  /** Task ids that a worker holds and wants no bytes for yet; each time it said so. */
  readonly waiting: string[] = [];
  readonly results: Result[] = [];
  readonly returned: string[] = [];
  readonly attachments: Attachment[] = [];
  /** Decides what is said to an announcement; `undefined` for the usual. */
  onAnnounced: (taskId: string, fence: bigint) => Response | 'silence' | undefined = () => undefined;
  acknowledges = true;
  readonly #tls: TlsFiles;
  #server: RpcServer | undefined;
  #port = 0;

  constructor(tls: TlsFiles) {
    this.#tls = tls;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  result(taskId: string): Result | undefined {
    return this.results.find((result) => result.taskId === taskId);
  }

  /** Listens; again on the same port after `stop`. */
  async start(): Promise<void> {
    const { tracer } = startTelemetry({ service: 'test', region: 'beijing', replica: '1', sampleRatio: 0 });
    const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
    const server = new RpcServer({ tls: this.#tls, windowBytes: 1024 * 1024, logger, clock: systemClock, tracer });
    server.addService(CollectorService, { '*': ['worker'] }, { attach: (requests) => this.#attach(requests) });
    this.#server = server;
    this.#port = await server.listen(`127.0.0.1:${this.#port}`);
  }

  /** As new, for the next test; streams stay. */
  forget(): void {
    for (const list of [this.announced, this.waiting, this.results, this.returned]) list.length = 0;
    this.onAnnounced = () => undefined;
    this.acknowledges = true;
  }

  /** Ends at once, with all its streams. */
  async stop(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  #attach(requests: AsyncIterable<AttachRequest>): Outbox<Response> {
    const outbox = new Outbox<Response>();
    void this.#listen(requests, outbox).catch(() => undefined);
    return outbox;
  }

  async #listen(requests: AsyncIterable<AttachRequest>, outbox: Outbox<Response>): Promise<void> {
    let attachment: Attachment | undefined;
    for await (const { message } of requests) {
      attachment?.heardAtMs.push(performance.now());
      if (message.case === 'hello') {
        attachment = { hello: message.value, heardAtMs: [performance.now()], send: (sent) => void outbox.push(sent) };
        this.attachments.push(attachment);
        outbox.push({
          message: { case: 'welcome', value: { replica: 'scheduler', region: 'beijing', heartbeatMs: 300 } },
        });
      } else if (message.case === 'announced' && message.value.waits) {
        this.waiting.push(message.value.taskId);
      } else if (message.case === 'announced') {
        const { taskId, fence } = message.value;
        this.announced.push(taskId);
        const answer = this.onAnnounced(taskId, fence) ?? this.#picture(taskId, fence);
        if (answer !== 'silence') outbox.push(answer);
      } else if (message.case === 'result') {
        this.results.push(message.value);
        if (this.acknowledges) outbox.push(acknowledgement(message.value));
      } else if (message.case === 'returned') this.returned.push(message.value.taskId);
      else if (message.case === 'heartbeat')
        outbox.push({ message: { case: 'pong', value: { sequence: message.value.sequence + 1n } } });
    }
    outbox.finish();
  }

  #picture(taskId: string, fence: bigint): Response {
    const picture = this.pictures.get(taskId) ?? this.pictures.get('*') ?? new Uint8Array(0);
    return { message: { case: 'picture', value: { taskId, fence, picture } } };
  }
}

export function acknowledgement({ taskId, fence }: { readonly taskId: string; readonly fence: bigint }): Response {
  return { message: { case: 'ack', value: { taskId, fence } } };
}
