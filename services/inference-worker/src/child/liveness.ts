import { Socket } from 'node:net';
import { encodeFrame, FRAME_KINDS, FrameReader } from './protocol.ts';

/**
 * Runs in a thread of the child: answers pings while the main thread is busy with an inference, so that silence means
 * a process that does not run (stopped, starved, gone), not a long picture. With the parent's end of the socket gone,
 * the parent is gone: the process ends at once, even from inside an inference that never returns.
 */
export const LIVENESS_FD = 4;

const socket = new Socket({ fd: LIVENESS_FD, readable: true, writable: true });
const reader = new FrameReader(({ id }) => {
  const payload = Buffer.alloc(8);
  payload.writeDoubleLE(process.memoryUsage.rss());
  socket.write(encodeFrame(FRAME_KINDS.pong, id, payload));
});
socket.on('data', (chunk) => reader.push(chunk));
socket.on('error', () => undefined);
socket.on('close', () => process.kill(process.pid, 'SIGKILL'));
