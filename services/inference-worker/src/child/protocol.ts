import { type Code, Failure } from '@meridian/failure';

/**
 * What worker and child say to each other over their socket. A frame is a header of 9 bytes (payload bytes u32, kind u8,
 * id u32, little endian) and its payload. Pictures go through untouched: header and picture are two writes, and the
 * reader copies each picture once, from its reused receive buffer into memory of exact size.
 */
export const FRAME_KINDS = {
  /** Worker → child. JSON {@link LoadOrder}; id = number of the model. */
  load: 1,
  unload: 2,
  /** Number of the model u32, then the picture; id = number of the run. */
  run: 3,
  /** Child → worker: it listens. */
  hello: 10,
  /** id = number of the model. */
  loaded: 11,
  /** JSON {@link FailureNotice}; id = number of the model. */
  notLoaded: 14,
  /** JSON {@link FailureNotice}; id = number of the run. */
  failed: 12,
  /** decode ms f64, inference ms f64, then an encoded Recognition. */
  recognized: 13,
  /** On the second socket, answered by a thread that inference does not occupy: id is echoed. */
  ping: 20,
  /** Resident memory of the child in bytes f64. */
  pong: 21,
} as const;

export type FrameKind = (typeof FRAME_KINDS)[keyof typeof FRAME_KINDS];

export interface LoadOrder {
  /** Canonical JSON of the manifest. */
  readonly manifest: string;
  /** Digest → file of verified weights. */
  readonly files: Readonly<Record<string, string>>;
}

export interface FailureNotice {
  readonly code: Code;
  readonly reason: string;
  readonly message: string;
  readonly retryable: boolean;
}

export interface Frame {
  readonly kind: number;
  readonly id: number;
  /** Owned by the receiver. */
  readonly payload: Buffer;
}

export const HEADER_BYTES = 9;
/** A picture of 16 MiB and what surrounds it. */
export const PAYLOAD_BYTES_MAX = 17 * 2 ** 20;
const RUN_PREFIX_BYTES = 4;
const TIMES_BYTES = 16;

export function frameHeader(kind: FrameKind, id: number, payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(payloadBytes, 0);
  header.writeUInt8(kind, 4);
  header.writeUInt32LE(id, 5);
  return header;
}

export function encodeFrame(kind: FrameKind, id: number, payload: Uint8Array | string = ''): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return Buffer.concat([frameHeader(kind, id, bytes.length), bytes]);
}

/** Header of a run; the picture follows as it is. */
export function runHeader(run: number, model: number, pictureBytes: number): Buffer {
  const head = Buffer.allocUnsafe(HEADER_BYTES + RUN_PREFIX_BYTES);
  head.writeUInt32LE(RUN_PREFIX_BYTES + pictureBytes, 0);
  head.writeUInt8(FRAME_KINDS.run, 4);
  head.writeUInt32LE(run, 5);
  head.writeUInt32LE(model, HEADER_BYTES);
  return head;
}

export function readRun(payload: Buffer): { readonly model: number; readonly picture: Buffer } {
  if (payload.length < RUN_PREFIX_BYTES) throw broken('a run without its model');
  return { model: payload.readUInt32LE(0), picture: payload.subarray(RUN_PREFIX_BYTES) };
}

export function encodeRecognized(run: number, decodeMs: number, inferenceMs: number, recognition: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + TIMES_BYTES + recognition.length);
  frameHeader(FRAME_KINDS.recognized, run, TIMES_BYTES + recognition.length).copy(frame);
  frame.writeDoubleLE(decodeMs, HEADER_BYTES);
  frame.writeDoubleLE(inferenceMs, HEADER_BYTES + 8);
  frame.set(recognition, HEADER_BYTES + TIMES_BYTES);
  return frame;
}

export function readRecognized(payload: Buffer): {
  readonly decodeMs: number;
  readonly inferenceMs: number;
  readonly recognition: Buffer;
} {
  if (payload.length < TIMES_BYTES) throw broken('a recognition without its times');
  return {
    decodeMs: payload.readDoubleLE(0),
    inferenceMs: payload.readDoubleLE(8),
    recognition: payload.subarray(TIMES_BYTES),
  };
}

/** Puts frames together from chunks of any size. Chunks may be overwritten after `push` returns. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  readonly #payloadBytesMax: number;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #payload = Buffer.alloc(0);
  #payloadBytes = 0;

  constructor(onFrame: (frame: Frame) => void, payloadBytesMax = PAYLOAD_BYTES_MAX) {
    this.#onFrame = onFrame;
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** @throws Failure DATA_LOSS / FRAME_INVALID: the connection cannot be used any more. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerBytes < HEADER_BYTES) {
        const taken = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at);
        this.#header.set(chunk.subarray(at, at + taken), this.#headerBytes);
        this.#headerBytes += taken;
        at += taken;
        if (this.#headerBytes < HEADER_BYTES) return;
        this.#begin(this.#header.readUInt32LE(0));
      }
      const taken = Math.min(this.#payload.length - this.#payloadBytes, chunk.length - at);
      this.#payload.set(chunk.subarray(at, at + taken), this.#payloadBytes);
      this.#payloadBytes += taken;
      at += taken;
      if (this.#payloadBytes === this.#payload.length) this.#complete();
    }
  }

  #begin(payloadBytes: number): void {
    if (payloadBytes > this.#payloadBytesMax) throw broken(`a frame of ${payloadBytes} bytes`);
    // Not from the pool: a picture's memory must not be shared with anything else.
    this.#payload = Buffer.allocUnsafeSlow(payloadBytes);
    this.#payloadBytes = 0;
  }

  #complete(): void {
    const frame = { kind: this.#header.readUInt8(4), id: this.#header.readUInt32LE(5), payload: this.#payload };
    this.#headerBytes = 0;
    this.#onFrame(frame);
  }
}

function broken(what: string): Failure {
  return new Failure('DATA_LOSS', `worker and child do not understand each other: ${what}`, {
    reason: 'FRAME_INVALID',
  });
}
