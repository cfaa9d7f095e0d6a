import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { parseManifest } from '@meridian/models';
import { openModel } from '@meridian/recognition';
import { Engine } from './engine.ts';
import { encodeFrame, FRAME_KINDS, FrameReader } from './protocol.ts';

/**
 * The process in which pictures are decoded and models run. Pictures are hostile: it holds no credentials, opens no
 * connection, and speaks only over the sockets it was born with. It ends with its parent.
 */
const DATA_FD = 3;
/** One read takes a usual picture whole; the buffer is used again for each. */
const RECEIVE_BUFFER_BYTES = 256 * 1024;

const engine = new Engine({
  open: ({ manifest, files }) =>
    openModel({
      manifest: parseManifest(JSON.parse(manifest)),
      read: (digest) => Promise.resolve(files[digest] ?? ''),
      clock: { monotonicMs: () => performance.now() },
    }),
  send: (frame) => void socket.write(frame),
  log: (error) => void process.stderr.write(`inference process: ${String(error)}\n`),
});
const reader = new FrameReader((frame) => engine.receive(frame));
const socket = new Socket({
  fd: DATA_FD,
  readable: true,
  writable: true,
  onread: {
    buffer: Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES),
    callback: (bytes, buffer) => {
      reader.push(buffer.subarray(0, bytes));
      return true;
    },
  },
});
socket.on('error', () => process.exit(1));
socket.on('end', () => process.exit(0));
socket.on('close', () => process.exit(0));

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const liveness = new Worker(new URL(`./liveness.${extension}`, import.meta.url));
liveness.once('online', () => socket.write(encodeFrame(FRAME_KINDS.hello, process.pid)));
liveness.on('error', () => process.exit(1));
