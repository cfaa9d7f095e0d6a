import type { AttachRequest, Hello, Load, WorkerLoad as WorkerLoadMessage } from '@meridian/contracts/collector';
import { Failure } from '@meridian/failure';
import { type CallContext, Outbox } from '@meridian/rpc';
import type { Clock, Logger } from '@meridian/runtime';
import { workerResult } from '../codec/worker-report.ts';
import { readClaimsAhead } from '../owner/claims-ahead.ts';
import type { ToWorker, WorkerLoad, WorkerStream } from '../owner/worker-stream.ts';
import { HEARTBEAT_MS, LOCAL_HEARTBEAT_MS, type WorkerStreams } from '../owner/worker-streams.ts';
import { readLoad } from '../placement/load-news.ts';
import type { RegionView } from '../placement/region-view.ts';
import type { Dispatcher } from '../tasks/dispatcher.ts';
import type { WorkerResult } from '../tasks/ports.ts';

export interface CollectorOptions {
  readonly region: string;
  readonly replica: string;
  readonly regions: ReadonlyMap<string, RegionView>;
  readonly streams: WorkerStreams;
  readonly dispatcher: () => Dispatcher;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A result in which the picture has its own size, whatever the worker was sent of it. */
  readonly corrected: (result: WorkerResult) => WorkerResult;
  /** A message that cannot be true was left out of account. */
  readonly rejected: (what: string) => void;
}

const HELLO_TIMEOUT_MS = 5000;
/** Load that was held longer than this on its way says nothing of now. */
const AGE_MAX_MS = 10_000;
const WORKER_NAME = /^[A-Za-z0-9_.-]{1,63}$/;

/** `Attach`: one stream per worker. Bytes and verdicts go out, announcements and results come in. */
export class Collector {
  readonly #o: CollectorOptions;

  constructor(options: CollectorOptions) {
    this.#o = options;
  }

  attach(requests: AsyncIterable<AttachRequest>, context: CallContext): AsyncIterable<ToWorker> {
    const outbox = new Outbox<ToWorker>();
    void this.#serve(requests, context, outbox);
    return outbox;
  }

  async #serve(requests: AsyncIterable<AttachRequest>, context: CallContext, outbox: Outbox<ToWorker>): Promise<void> {
    const { streams, clock, logger } = this.#o;
    let stream: WorkerStream | undefined;
    const silent = () => outbox.finish(new Failure('DEADLINE_EXCEEDED', 'no hello', { reason: 'HELLO_MISSING' }));
    const timer = clock.setTimer(HELLO_TIMEOUT_MS, silent);
    // The transport knows of a lost connection before the reader of its messages does.
    const lost = () => stream !== undefined && streams.end(stream, Failure.from(context.signal.reason));
    context.signal.addEventListener('abort', lost, { once: true });
    try {
      for await (const { message } of requests) {
        if (stream === undefined) {
          stream = this.#welcome(message, context, outbox);
          timer.cancel();
        } else if (stream.closed) break;
        else this.#take(stream, message);
      }
      if (stream !== undefined) streams.end(stream);
      outbox.finish();
    } catch (error) {
      const failure = Failure.from(error);
      if (failure.code === 'INTERNAL') logger.error({ err: error }, 'a collector stream failed');
      if (stream !== undefined) streams.end(stream, failure);
      outbox.finish(failure);
    } finally {
      timer.cancel();
      context.signal.removeEventListener('abort', lost);
    }
  }

  #welcome(message: AttachRequest['message'], context: CallContext, outbox: Outbox<ToWorker>): WorkerStream {
    if (message.case !== 'hello')
      throw new Failure('FAILED_PRECONDITION', 'the first message of a worker is hello', { reason: 'HELLO_MISSING' });
    this.#check(message.value, context);
    const { replica, region, streams, dispatcher } = this.#o;
    dispatcher(); // Not before the jobs of the last life are known: results for them would be taken for unknown.
    const stream = streams.open(message.value.worker, message.value.region, outbox);
    const heartbeatMs = message.value.region === region ? LOCAL_HEARTBEAT_MS : HEARTBEAT_MS;
    stream.send({ message: { case: 'welcome', value: { replica, region, heartbeatMs } } });
    return stream;
  }

  /** The certificate says where a worker is: it cannot speak for another region. */
  #check({ worker, region }: Hello, { peer }: CallContext): void {
    if (region !== peer.region)
      throw new Failure('PERMISSION_DENIED', `a worker of ${peer.region} cannot attach as one of another region`, {
        reason: 'REGION_MISMATCH',
      });
    if (!this.#o.regions.has(region))
      throw new Failure('NOT_FOUND', `there is no region ${region} here`, { reason: 'REGION_UNKNOWN' });
    if (!WORKER_NAME.test(worker))
      throw new Failure('INVALID_ARGUMENT', 'hello.worker: expected 1–63 of letters, digits, _ . -', {
        reason: 'HELLO_INVALID',
      });
  }

  #take(stream: WorkerStream, message: AttachRequest['message']): void {
    const { clock, dispatcher } = this.#o;
    stream.heardMs = clock.monotonicMs();
    const nowMs = clock.nowMs();
    switch (message.case) {
      case 'announced': {
        const { taskId, fence, waits } = message.value;
        dispatcher().announced(stream.ref, taskId, Number(fence), nowMs, waits);
        break;
      }
      case 'result':
        // First what the region said before the result left.
        this.#hear(stream, message.value.load, nowMs);
        dispatcher().result(stream.ref, this.#o.corrected(workerResult(message.value)), nowMs);
        break;
      case 'returned':
        dispatcher().returned(stream.ref, message.value.taskId, Number(message.value.fence), nowMs);
        break;
      case 'heartbeat':
        this.#hear(stream, message.value.load, nowMs);
        if (message.value.worker !== undefined) this.#hearWorker(stream, message.value.worker);
        stream.send({ message: { case: 'pong', value: { sequence: message.value.sequence + 1n } } });
        break;
      default:
        break;
    }
  }

  /** What a worker of the own region says of itself. */
  #hearWorker(stream: WorkerStream, said: WorkerLoadMessage): void {
    stream.load = workerLoad(said);
    const ahead = readClaimsAhead(said);
    if (ahead === 'absurd') this.#o.rejected('claims-ahead');
    stream.claimsAhead = ahead === 'absurd' ? undefined : ahead;
  }

  /** Load of the worker's region that rides on what it sends. The own region's is measured, not heard of. */
  #hear(stream: WorkerStream, load: Load | undefined, nowMs: number): void {
    const { region, regions, rejected } = this.#o;
    if (load === undefined || stream.ref.region === region) return;
    const news = load.ageMs >= 0 && load.ageMs <= AGE_MAX_MS ? readLoad(load) : undefined;
    if (news === undefined) rejected('load');
    else if (news.measuredMs !== 0) regions.get(stream.ref.region)?.reported(news, nowMs, load.ageMs);
  }
}

/** A worker counts a few hundred claims at most; what is beyond this is nobody's. */
const CLAIMS_MAX = 1_000_000;

function workerLoad({ slots, onTheWay, settled }: WorkerLoadMessage): WorkerLoad {
  return {
    slots: Math.min(slots, CLAIMS_MAX),
    onTheWay: Math.min(onTheWay, CLAIMS_MAX),
    settled: Math.min(settled, CLAIMS_MAX),
  };
}
