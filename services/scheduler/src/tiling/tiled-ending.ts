import { create } from '@bufbuild/protobuf';
import { RecognitionSchema } from '@meridian/contracts/recognition';
import type { CutPiece } from '@meridian/recognition/picture-cutter';
import { mergePieces, type Size } from '@meridian/tiling';
import type { Ending, Task, TileFacts } from '../tasks/task.ts';

/** A tile's task when it was over. */
export interface EndedTile {
  readonly piece: CutPiece;
  readonly task: Task;
  readonly ending: Ending;
}

/**
 * The ending of a picture whose tiles have ended: merged, or the failure of the first one that failed.
 * @param tiles not empty; the whole picture is the last
 */
export function endingOfTiles(tiles: readonly EndedTile[], picture: Size, totalMs: number): Ending {
  const whole = tiles.at(-1);
  if (whole === undefined) throw new RangeError('a tiled picture has at least one piece');
  // Those that were called off because of another one say nothing.
  const failed =
    tiles.find(({ ending }) => ending.how === 'failed' || ending.how === 'expired') ??
    tiles.find(({ ending }) => ending.how === 'cancelled');
  const facts = tiles.map(factsOf);
  if (failed !== undefined) return { ...failed.ending, tiles: facts };
  const pieces = tiles.map(({ piece, ending }) => ({
    area: piece.area,
    objects: ending.outcome.kind === 'recognition' ? ending.outcome.recognition.objects : [],
  }));
  const objects = mergePieces(pieces, picture).map((object) => ({
    ...object,
    keypoints: [...(object.keypoints ?? [])],
  }));
  const recognition = create(RecognitionSchema, { ...picture, objects });
  const last = tiles.reduce((a, b) => (b.ending.times.totalMs > a.ending.times.totalMs ? b : a)).ending.times;
  const times = { ...last, returnMs: last.returnMs + Math.max(0, totalMs - last.totalMs), totalMs };
  return { ...whole.ending, outcome: { kind: 'recognition', recognition }, times, tiles: facts };
}

function factsOf({ piece, task, ending }: EndedTile): TileFacts {
  const { outcome, region, worker } = ending;
  return {
    ...piece.area,
    ...{ taskId: task.taskId, region, worker, attempts: Math.max(1, task.placements), bytes: piece.bytes.length },
    objects: outcome.kind === 'recognition' ? outcome.recognition.objects.length : 0,
  };
}
