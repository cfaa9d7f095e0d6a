import type { Box, CachedAnswer, RecognizedObject, TaskResult, Tile, Timings } from '@meridian/contracts/recognition';
import { formatBytes, formatMs, formatPercent } from './quantity.ts';
import { formatTable } from './table.ts';

/** More than this nobody reads on a terminal; `--json` has all. */
const OBJECTS_SHOWN_MAX = 20;

/**
 * One result for people: the objects with scores and boxes in pixels, which region took the picture in and which ran
 * it, the attempts, the task's id for `trace`, the tiles if it was cut, and where the milliseconds went.
 */
export function formatRecognition(result: TaskResult): string {
  const { tiles, fromCache, timings } = result;
  const lines = [...outcomeLines(result), routeLine(result), ...tileLines(tiles), ...cacheLines(fromCache)];
  return [...lines, ...timingLines(timings)].map((line) => `  ${line}`).join('\n');
}

function outcomeLines({ outcome }: TaskResult): string[] {
  if (outcome.case === 'error') {
    const { code, reason, message, retryable } = outcome.value;
    return [
      `${code}${reason === '' || reason === code ? '' : ` / ${reason}`}: ${message}${retryable ? ' (may be tried again)' : ''}`,
    ];
  }
  if (outcome.case !== 'recognition') return ['no outcome'];
  const { objects, width, height } = outcome.value;
  if (objects.length === 0) return [`nothing recognised (${width} × ${height})`];
  const shown = objects.slice(0, OBJECTS_SHOWN_MAX);
  const rows = shown.map((object) => [labelOf(object), formatPercent(object.score), boxOf(object.box, width, height)]);
  const table = formatTable(['object', 'score', `box in ${width} × ${height} pixels`], rows).split('\n');
  const more = objects.length - shown.length;
  return more > 0 ? [...table, `… and ${more} more`] : table;
}

/** The label, and what was read for text models. */
export function labelOf(object: RecognizedObject): string {
  const label = object.label === '' ? `class ${object.classIndex}` : object.label;
  return object.text === '' ? label : `${label} “${object.text}”`;
}

function boxOf(box: Box | undefined, width: number, height: number): string {
  if (box === undefined) return '–';
  const [x0, y0, x1, y1] = [box.x0 * width, box.y0 * height, box.x1 * width, box.y1 * height].map(Math.round);
  return `${x0},${y0} – ${x1},${y1}`;
}

function routeLine(result: TaskResult): string {
  const ran =
    result.region === '' ? '' : result.region === result.entryRegion ? ', ran there' : `, ran in ${result.region}`;
  const worker = result.worker === '' ? '' : ` on ${result.worker}`;
  const attempts = `${result.attempts} attempt${result.attempts === 1 ? '' : 's'}`;
  const model = result.model === '' ? '' : ` · ${result.model}`;
  const task = result.taskId === '' ? '' : ` · task ${result.taskId}`;
  return `entry ${result.entryRegion}${ran}${worker} · ${attempts}${model}${task}`;
}

/** How many, how large, and which regions ran how many of them. The last one is the whole picture. */
function tileLines(tiles: readonly Tile[]): string[] {
  const [first] = tiles;
  if (first === undefined) return [];
  const ran = new Map<string, number>();
  for (const { region } of tiles) ran.set(region, (ran.get(region) ?? 0) + 1);
  const where = [...ran].sort(([a], [b]) => (a < b ? -1 : 1)).map(([region, count]) => `${region} ${count}`);
  const bytes = formatBytes(tiles.reduce((sum, tile) => sum + tile.bytes, 0));
  const what =
    tiles.length === 1
      ? 'not cut, the model sees the picture in full'
      : `${tiles.length - 1} of ${first.width} × ${first.height} and the whole picture`;
  return [`tiles: ${what} · ran in ${where.join(', ')} · ${bytes} sent`];
}

function cacheLines(from: CachedAnswer | undefined): string[] {
  if (from === undefined) return [];
  const at = new Date(Number(from.computedUnixMs)).toISOString();
  return [`cached: answer of task ${from.taskId} at ${at}, state ${from.versionVector}; --no-cache works on it anew`];
}

function timingLines(timings: Timings | undefined): string[] {
  if (timings === undefined) return [];
  const { queueMs, transferMs, decodeMs, inferenceMs, returnMs, totalMs } = timings;
  const parts = [
    ['queue', queueMs],
    ['transfer', transferMs],
    ['decode', decodeMs],
    ['inference', inferenceMs],
    ['return', returnMs],
  ] as const;
  return [`${formatMs(totalMs)} = ${parts.map(([name, ms]) => `${name} ${formatMs(ms)}`).join(' + ')}`];
}
