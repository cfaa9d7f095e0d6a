import { Socket } from 'node:net';
import { Failure } from '@meridian/failure';
import { type CutOrder, PictureCutter } from '@meridian/recognition/picture-cutter';
import { PICTURE_BYTES_MAX } from '../codec/picture.ts';
import { encodeMessage, type Message, MessageReader } from './messages.ts';

/**
 * The process in which pictures are cut. They are hostile: it holds no credentials, opens no connection, and speaks only
 * over the socket it was born with. It ends with its parent, which gives it one picture at a time.
 */
const DATA_FD = 3;
const DECODE_TIMEOUT_MS = 10_000;

const cutter = new PictureCutter({ timeoutMs: DECODE_TIMEOUT_MS });
const reader = new MessageReader((message) => void answer(message), PICTURE_BYTES_MAX);
const socket = new Socket({ fd: DATA_FD, readable: true, writable: true });
socket.on('data', (chunk) => reader.push(chunk));
socket.on('error', () => process.exit(1));
socket.on('end', () => process.exit(0));
socket.on('close', () => process.exit(0));

async function answer({ text, body }: Message): Promise<void> {
  try {
    const { picture, pieces } = await cutter.cut(body, text as CutOrder);
    const areas = pieces.map(({ area, bytes }) => ({ ...area, bytes: bytes.length }));
    send(
      { picture, pieces: areas },
      pieces.map(({ bytes }) => bytes),
    );
  } catch (thrown) {
    // Of an unknown error only that it happened may leave.
    if (!(thrown instanceof Failure)) process.stderr.write(`cutting process: ${String(thrown)}\n`);
    const { code, reason, message } = Failure.from(thrown);
    send({ failure: { code, reason, message } }, []);
  }
}

function send(text: object, parts: readonly Uint8Array[]): void {
  const residentBytes = process.memoryUsage.rss();
  for (const part of encodeMessage({ ...text, residentBytes }, parts)) socket.write(part);
}
