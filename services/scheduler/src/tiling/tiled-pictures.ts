import { hash } from 'node:crypto';
import { Failure } from '@meridian/failure';
import type { CutOrder, CutPicture, CutPiece } from '@meridian/recognition/picture-cutter';
import type { Clock } from '@meridian/runtime';
import { wholeOf } from '@meridian/tiling';
import type { TaskTracer } from '../outbound/task-tracer.ts';
import type { Calls } from '../owner/calls.ts';
import type { Dispatcher } from '../tasks/dispatcher.ts';
import { endingOf, failureOf } from '../tasks/ending.ts';
import { type Ending, newTask, newWork, type Task } from '../tasks/task.ts';
import { Places } from './places.ts';
import { type EndedTile, endingOfTiles } from './tiled-ending.ts';

export interface TiledPicturesOptions {
  readonly cutter: { cut(picture: Uint8Array, order: CutOrder): Promise<CutPicture> };
  readonly calls: Pick<Calls, 'open'>;
  readonly tracer: Pick<TaskTracer, 'beginCall' | 'contextOf' | 'endTask'>;
  readonly clock: Clock;
  readonly dispatcher: () => Pick<Dispatcher, 'add' | 'cancel'>;
}

/** Pictures whose pieces are held at a time; each has at most PIECES_BYTES_MAX of them. */
export const TILED_PICTURES_MAX = 8;

/**
 * Recognises pictures in tiles: each piece is a task like that of a call, with its own claim, placement, failures and
 * fences, and the picture's ending is made of theirs.
 *
 * 1. The picture's own task is never placed; it ends once, after all of its tiles have ended.
 * 2. Tiles are in memory only. What must survive this process is the picture: from the same picture and model come the
 *    same tiles and the same merged objects again.
 * 3. One tile that fails for good ends the picture, and calls the others off.
 */
export class TiledPictures {
  readonly #o: TiledPicturesOptions;
  readonly #places = new Places(TILED_PICTURES_MAX);

  constructor(options: TiledPicturesOptions) {
    this.#o = options;
  }

  /**
   * @param parent stands for the picture
   * @param signal calls the work off; the ending says `cancelled` then
   * @returns never rejected
   */
  async run(parent: Task, picture: Uint8Array, order: CutOrder, signal: AbortSignal): Promise<Ending> {
    const { clock, tracer } = this.#o;
    const ending = await this.#ending(parent, picture, order, signal);
    tracer.endTask(parent, ending, clock.nowMs());
    return ending;
  }

  async #ending(parent: Task, picture: Uint8Array, order: CutOrder, signal: AbortSignal): Promise<Ending> {
    const { clock, cutter } = this.#o;
    const { acceptedMs, deadlineMs } = parent.work;
    const expiry = new AbortController();
    const timer = clock.setTimer(Math.max(0, deadlineMs - clock.nowMs()), () => expiry.abort(deadlinePassed()));
    const ends = AbortSignal.any([signal, expiry.signal]);
    let leave: (() => void) | undefined;
    try {
      leave = await this.#places.take(ends);
      const cut = await cutter.cut(picture, order);
      ends.throwIfAborted();
      const pieces = cut.pieces.length > 0 ? cut.pieces : [{ area: wholeOf(cut.picture), bytes: picture }];
      const tiles = await this.#recognized(parent, pieces, signal);
      return endingOfTiles(tiles, cut.picture, clock.nowMs() - acceptedMs);
    } catch (error) {
      const { code, reason, message } = Failure.from(error);
      const how = signal.aborted ? 'cancelled' : code === 'DEADLINE_EXCEEDED' && ends.aborted ? 'expired' : 'failed';
      const failure = { code, reason, message, retryable: false };
      const outcome = how === 'cancelled' ? cancelled() : { kind: 'failure' as const, failure };
      return endingOf(parent, how, outcome, clock.nowMs());
    } finally {
      timer.cancel();
      leave?.();
    }
  }

  /** Ended tiles in the order of the pieces. */
  async #recognized(parent: Task, pieces: readonly CutPiece[], signal: AbortSignal): Promise<readonly EndedTile[]> {
    const { calls, tracer, dispatcher, clock } = this.#o;
    const tasks = tilesOf(parent, pieces);
    const cancel = (): void => {
      for (const { taskId } of tasks) dispatcher().cancel(taskId, clock.nowMs());
    };
    const context = tracer.contextOf(parent);
    const ended = tasks.map(async (tile, i) => {
      const piece = pieces[i] as CutPiece;
      tracer.beginCall(tile.taskId, context);
      const { task, ending } = await calls.open(tile.taskId, piece.bytes);
      if (ending.how === 'failed' || ending.how === 'expired') cancel();
      return { piece, task, ending };
    });
    signal.addEventListener('abort', cancel, { once: true });
    dispatcher().add(tasks);
    const tiles = await Promise.all(ended);
    signal.removeEventListener('abort', cancel);
    return tiles;
  }
}

/** Tasks as calls have them: nothing of a tile is written, announced or kept. */
function tilesOf(parent: Task, pieces: readonly CutPiece[]): Task[] {
  const work = newWork({ ...parent.work, key: `${parent.taskId}.tiles`, jobId: '' });
  return pieces.map(({ bytes }, index) => {
    const name = index === pieces.length - 1 ? 'whole' : `tile${index}`;
    const pictureDigest = hash('sha256', bytes, 'buffer');
    const picture = { index, pictureName: name, pictureDigest, pictureBytes: bytes.length };
    return newTask(work, { ...picture, taskId: `${parent.taskId}.${name}` });
  });
}

function cancelled() {
  return failureOf('CANCELLED', 'CANCELLED', 'the work was cancelled');
}

function deadlinePassed(): Failure {
  return new Failure('DEADLINE_EXCEEDED', 'the deadline passed before the picture was cut', {
    reason: 'DEADLINE_EXCEEDED',
  });
}
