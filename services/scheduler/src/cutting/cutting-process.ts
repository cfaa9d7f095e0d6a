import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { assert } from '@meridian/failure';
import { encodeMessage, type Message, MessageReader } from './messages.ts';

/** One life of a cutting process. */
export interface CuttingProcess {
  readonly pid: number;
  send(text: object, picture: Uint8Array): void;
  /** By pid, and in a way that a stopped process cannot ignore. */
  kill(): void;
}

export interface CuttingListener {
  message(message: Message): void;
  /** Once; nothing comes later. */
  exited(how: string): void;
}

/** All pieces of a picture, 64 MiB, and what surrounds them. */
const ANSWER_BYTES_MAX = 65 * 2 ** 20;
/** The two decodings of a picture side by side, and one more for files. */
const THREADS = 3;
/** Resident memory of many short-lived pictures grows with the number of allocation arenas. */
const MALLOC_ARENAS = 2;

/** Starts one. It inherits nothing: no environment, no descriptors but stderr and its socket. */
export function startCuttingProcess(listener: CuttingListener): CuttingProcess {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const main = fileURLToPath(new URL(`./main.${extension}`, import.meta.url));
  const conditions = process.execArgv.filter((argument) => argument.startsWith('--conditions='));
  const child = spawn(process.execPath, [...conditions, main], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    env: { UV_THREADPOOL_SIZE: String(THREADS), MALLOC_ARENA_MAX: String(MALLOC_ARENAS), NODE_ENV: 'production' },
  });
  const socket = child.stdio[3];
  assert(socket instanceof Socket, 'descriptor 3 of the child is a socket');
  // A child that is gone is noticed by its exit.
  socket.on('error', () => undefined);
  const reader = new MessageReader((message) => listener.message(message), ANSWER_BYTES_MAX);
  socket.on('data', (chunk) => {
    try {
      reader.push(chunk);
    } catch {
      child.kill('SIGKILL');
    }
  });
  let over = false;
  const end = (how: string) => {
    if (over) return;
    over = true;
    socket.destroy();
    listener.exited(how);
  };
  child.on('error', (error) => end(error.message));
  // `close` comes after the last byte of its socket, `exit` may come before.
  child.on('close', (code, signal) => end(signal ?? `code ${code}`));
  return {
    pid: child.pid ?? 0,
    send(text, picture) {
      for (const part of encodeMessage(text, [picture])) socket.write(part);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}
