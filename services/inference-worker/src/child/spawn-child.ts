import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { assert } from '@meridian/failure';
import { encodeFrame, FRAME_KINDS, type Frame, FrameReader, runHeader } from './protocol.ts';

/** One life of an inference process. */
export interface Child {
  readonly pid: number;
  send(frame: Buffer): void;
  /** Two writes, no copy: the picture goes to the socket as it came from the network. */
  sendRun(run: number, model: number, picture: Uint8Array): void;
  ping(id: number): void;
  /** By pid, and in a way that a stopped process cannot ignore. */
  kill(): void;
}

export interface ChildListener {
  frame(frame: Frame): void;
  pong(id: number, residentBytes: number): void;
  /** Once, after everything it said; nothing comes later. */
  exited(how: string): void;
}

/** Decodes of all pictures in flight side by side; one more for files. */
const THREADS = 4;
/** Resident memory of many short-lived pictures grows with the number of allocation arenas. */
const MALLOC_ARENAS = 2;

/** Starts a child. It inherits nothing: no environment, no descriptors but stderr and its two sockets. */
export function spawnChild(listener: ChildListener): Child {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const main = fileURLToPath(new URL(`./main.${extension}`, import.meta.url));
  const conditions = process.execArgv.filter((argument) => argument.startsWith('--conditions='));
  const child = spawn(process.execPath, [...conditions, main], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'],
    env: { UV_THREADPOOL_SIZE: String(THREADS), MALLOC_ARENA_MAX: String(MALLOC_ARENAS), NODE_ENV: 'production' },
  });
  const data = socketOf(child, 3);
  const liveness = socketOf(child, 4);
  let over = false;
  const end = (how: string) => {
    if (over) return;
    over = true;
    data.destroy();
    liveness.destroy();
    listener.exited(how);
  };
  read(
    data,
    (frame) => listener.frame(frame),
    () => child.kill('SIGKILL'),
  );
  read(
    liveness,
    ({ id, payload }) => listener.pong(id, payload.length === 8 ? payload.readDoubleLE(0) : 0),
    () => child.kill('SIGKILL'),
  );
  child.on('error', (error) => end(error.message));
  // `close` comes after the last byte of its sockets, `exit` may come before.
  child.on('close', (code, signal) => end(signal ?? `code ${code}`));
  return {
    pid: child.pid ?? 0,
    send: (frame) => void data.write(frame),
    sendRun(run, model, picture) {
      data.cork();
      data.write(runHeader(run, model, picture.length));
      data.write(picture);
      data.uncork();
    },
    ping: (id) => void liveness.write(encodeFrame(FRAME_KINDS.ping, id)),
    kill: () => void child.kill('SIGKILL'),
  };
}

function socketOf(child: ChildProcess, fd: number): Socket {
  const socket = child.stdio[fd];
  assert(socket instanceof Socket, `descriptor ${fd} of the child is a socket`);
  // A child that is gone is noticed by its exit.
  socket.on('error', () => undefined);
  return socket;
}

function read(socket: Socket, onFrame: (frame: Frame) => void, onBroken: () => void): void {
  const reader = new FrameReader(onFrame);
  socket.on('data', (chunk) => {
    try {
      reader.push(chunk);
    } catch {
      onBroken();
    }
  });
}
