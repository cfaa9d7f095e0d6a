import { Failure } from '@meridian/failure';

/**
 * What the scheduler and its cutting process say to each other: a header of 8 bytes (bytes of the text u32, bytes of the
 * body u32, little endian), a JSON text, and a body of pictures one after the other, whose lengths the text names.
 */
export interface Message {
  /** What JSON gives: to be checked. */
  readonly text: unknown;
  readonly body: Buffer;
}

const HEADER_BYTES = 8;
const TEXT_BYTES_MAX = 64 * 1024;

export function encodeMessage(text: object, parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const json = Buffer.from(JSON.stringify(text));
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(json.length, 0);
  header.writeUInt32LE(
    parts.reduce((sum, { length }) => sum + length, 0),
    4,
  );
  return [header, json, ...parts];
}

/**
 * Puts messages together from chunks of any size; keeps the chunks.
 *
 * 1. Never holds more than one message of the largest size and a chunk.
 */
export class MessageReader {
  readonly #onMessage: (message: Message) => void;
  readonly #bodyBytesMax: number;
  #chunks: Uint8Array[] = [];
  #held = 0;

  constructor(onMessage: (message: Message) => void, bodyBytesMax: number) {
    this.#onMessage = onMessage;
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** @throws Failure DATA_LOSS / MESSAGE_INVALID: the other end cannot be understood any more. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    for (let size = this.#nextBytes(); size > 0 && this.#held >= size; size = this.#nextBytes()) this.#take(size);
  }

  /** Of the message that is coming, header included; 0 while that is not known. */
  #nextBytes(): number {
    if (this.#held < HEADER_BYTES) return 0;
    const header = this.#joined(HEADER_BYTES);
    const [text, body] = [header.readUInt32LE(0), header.readUInt32LE(4)];
    if (text > TEXT_BYTES_MAX || body > this.#bodyBytesMax) throw broken(`${text} and ${body} bytes`);
    return HEADER_BYTES + text + body;
  }

  #take(size: number): void {
    const all = this.#joined(this.#held);
    this.#chunks = this.#held > size ? [all.subarray(size)] : [];
    this.#held -= size;
    const textEnd = HEADER_BYTES + all.readUInt32LE(0);
    this.#onMessage({ text: parsed(all.toString('utf8', HEADER_BYTES, textEnd)), body: all.subarray(textEnd, size) });
  }

  /** The first bytes in one piece. The first chunk is usually long enough. */
  #joined(bytes: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= bytes) return Buffer.from(first.buffer, first.byteOffset, first.length);
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw broken('no JSON');
  }
}

function broken(what: string): Failure {
  return new Failure('DATA_LOSS', `the cutting process is not understood: ${what}`, { reason: 'MESSAGE_INVALID' });
}
