import { CollectorService } from '@meridian/contracts/collector';
import { RecognitionService } from '@meridian/contracts/recognition';
import { RegionService } from '@meridian/contracts/region';
import { Failure } from '@meridian/failure';
import type { AllowList, RpcServer } from '@meridian/rpc';
import type { Component } from '@meridian/runtime';
import type { Calls } from '../owner/calls.ts';
import type { WorkerStreams } from '../owner/worker-streams.ts';
import type { Residency } from '../placement/residency.ts';
import { admitCall } from './call-rules.ts';
import type { Collector } from './collector.ts';
import type { JobsHandlers } from './jobs.ts';
import type { RecognizeHandlers } from './recognize.ts';
import type { RegionsHandlers } from './regions.ts';
import type { SubmitJobHandler } from './submit-job.ts';

export interface DoorOptions {
  readonly server: RpcServer;
  readonly listen: string;
  readonly recognize: RecognizeHandlers;
  readonly submit: SubmitJobHandler;
  readonly jobs: JobsHandlers;
  readonly regions: RegionsHandlers;
  readonly residency: Residency;
  readonly collector: Collector;
  readonly calls: Calls;
  readonly streams: WorkerStreams;
  readonly drainGraceMs: number;
  /** Draining is over: nothing is placed any more. */
  readonly closing: () => void;
}

const PUBLIC: AllowList = { '*': ['client', 'operator', 'scheduler'] };
const WORKERS: AllowList = { '*': ['worker'] };

/**
 * The gRPC port: public services and the workers' collector. It opens last and closes first.
 *
 * While draining, workers stay attached until the calls that they work for are answered.
 */
export class Door implements Component {
  readonly name = 'grpc';
  readonly #o: DoorOptions;
  port = 0;

  constructor(options: DoorOptions) {
    this.#o = options;
    const { server, recognize, submit, jobs, regions, collector, residency } = options;
    server.addService(
      RecognitionService,
      PUBLIC,
      {
        recognize: (request, context) => recognize.recognize(request, context),
        recognizeStream: (requests, context) => recognize.recognizeStream(requests, context),
        submitJob: (requests, context) => submit.submitJob(requests, context),
        getJob: (request) => jobs.getJob(request),
        listJobs: (request) => jobs.listJobs(request),
        watchJob: (request, context) => jobs.watchJob(request, context),
        cancelJob: (request) => jobs.cancelJob(request),
      },
      (method, context) => admitCall(method, context, residency),
    );
    server.addService(RegionService, PUBLIC, {
      listRegions: () => regions.listRegions(),
      getTrace: (request) => regions.getTrace(request),
      explainTask: (request) => regions.explainTask(request),
    });
    server.addService(CollectorService, WORKERS, {
      attach: (requests, context) => collector.attach(requests, context),
    });
  }

  async start(): Promise<void> {
    this.port = await this.#o.server.listen(this.#o.listen);
  }

  async drain(signal: AbortSignal): Promise<void> {
    const { server, calls, streams, drainGraceMs, closing } = this.#o;
    const drained = server.drain(drainGraceMs);
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([calls.idle(), drained, aborted]);
    closing();
    streams.endAll(new Failure('UNAVAILABLE', 'the scheduler is stopping', { reason: 'STOPPING' }));
    await drained;
  }

  stop(): Promise<void> {
    return this.#o.server.close();
  }
}
