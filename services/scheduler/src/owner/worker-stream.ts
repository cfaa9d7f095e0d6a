import type { MessageInitShape } from '@bufbuild/protobuf';
import type { AttachResponseSchema } from '@meridian/contracts/collector';
import { Failure } from '@meridian/failure';
import type { Outbox } from '@meridian/rpc';
import { Fifo } from '../tasks/fifo.ts';
import type { StreamRef } from '../tasks/ports.ts';
import type { ClaimsAhead } from './claims-ahead.ts';

export type ToWorker = MessageInitShape<typeof AttachResponseSchema>;

/** A picture to send: its bytes are taken only when there is room for them. */
export interface PictureOrder {
  readonly taskId: string;
  readonly fence: number;
  /** undefined: not wanted any more. */
  readonly bytes: () => Uint8Array | Promise<Uint8Array> | undefined;
  readonly sent: (bytes: number) => void;
  readonly failed: (failure: Failure) => void;
}

/** A worker's own part in the load of its region. */
export interface WorkerLoad {
  readonly slots: number;
  readonly onTheWay: number;
  readonly settled: number;
}

/** Pictures that wait for one worker. A worker holds a few claims; one that announces more than this is not ours. */
const PICTURES_WAITING_MAX = 1024;

/**
 * The sending side of one collector stream.
 *
 * 1. Verdicts (acknowledgements, refusals, cancellations) go out at once; pictures wait until the stream has room.
 * 2. At most one picture of the stream is in memory here beyond what the transport buffers.
 * 3. After `close` nothing is sent, and pictures that waited are dropped: their tasks are placed elsewhere.
 */
export class WorkerStream {
  readonly ref: StreamRef;
  readonly #outbox: Outbox<ToWorker>;
  readonly #pictures = new Fifo<PictureOrder>();
  #pumping = false;
  #closed = false;
  /** Monotonic time of the last message. */
  heardMs: number;
  /** What the worker says of itself. */
  load: WorkerLoad = { slots: 0, onTheWay: 0, settled: 0 };
  /** Undefined while it has not measured it. */
  claimsAhead: ClaimsAhead | undefined;

  constructor(ref: StreamRef, outbox: Outbox<ToWorker>, nowMs: number) {
    this.ref = ref;
    this.#outbox = outbox;
    this.heardMs = nowMs;
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(message: ToWorker): void {
    if (this.#closed) return;
    try {
      this.#outbox.push(message);
    } catch (error) {
      this.close(Failure.from(error));
    }
  }

  sendPicture(order: PictureOrder): void {
    if (this.#closed) return;
    if (this.#pictures.size >= PICTURES_WAITING_MAX) {
      const message = `${PICTURES_WAITING_MAX} pictures wait for this worker: it takes more claims than it can hold`;
      this.close(new Failure('RESOURCE_EXHAUSTED', message, { reason: 'PICTURES_WAITING' }));
      return;
    }
    this.#pictures.push(order);
    if (!this.#pumping) void this.#pump();
  }

  /** Ends the call, with the failure if there is one. Idempotent. */
  close(failure?: Failure): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#outbox.finish(failure);
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    for (let order = this.#pictures.shift(); order !== undefined && !this.#closed; order = this.#pictures.shift()) {
      const room = await this.#deliver(order);
      // Rejected when the stream is over: whoever reads it then says so.
      if (!room) await this.#outbox.ready().catch(() => undefined);
    }
    this.#pumping = false;
  }

  /** @returns whether there is room for more. */
  async #deliver(order: PictureOrder): Promise<boolean> {
    try {
      const given = order.bytes();
      // No turn of the event loop for bytes that are in memory.
      const picture = given instanceof Promise ? await given : given;
      if (picture === undefined || this.#closed) return true;
      const value = { taskId: order.taskId, fence: BigInt(order.fence), picture };
      const room = this.#outbox.push({ message: { case: 'picture', value } });
      order.sent(picture.length);
      return room;
    } catch (error) {
      order.failed(Failure.from(error));
      return true;
    }
  }
}
