import type { EntryView, HistoryItem, VersionView } from '@meridian/contracts/state';
import { countOf, formatBytes, formatDateTime, formatTime } from './quantity.ts';
import { formatTable, pad } from './table.ts';

const VALUE_CHARS_MAX = 60;

/** One line for people: a text of printable characters, shortened; otherwise its size. */
export function shortValue({ deleted, value }: Pick<VersionView, 'deleted' | 'value'>): string {
  if (deleted) return '(deleted)';
  if (value.length === 0) return '(empty)';
  const text = printable(value);
  if (text === undefined) return `(${formatBytes(value.length)})`;
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > VALUE_CHARS_MAX ? `${line.slice(0, VALUE_CHARS_MAX - 1)}…` : line;
}

/** The version that readers see. */
export function winnerIn(entry: EntryView): VersionView | undefined {
  return entry.winner === undefined ? undefined : entry.versions[entry.winner];
}

/** `operator/admin in beijing at 2026-01-31 14:03:07`. */
export function origin({ author, region, unixMs }: VersionView): string {
  return `${author || 'the system'} in ${region} at ${formatDateTime(Number(unixMs))}`;
}

export function formatEntries(entries: readonly EntryView[]): string {
  const rows = entries.map((entry) => {
    const winner = winnerIn(entry);
    if (winner === undefined) return [entry.key, '–', '–', '–', '–'];
    const value = entry.conflicted ? `${shortValue(winner)}  ⚠ ${conflictCount(entry)}` : shortValue(winner);
    return [entry.key, winner.region, winner.author || '–', formatDateTime(Number(winner.unixMs)), value];
  });
  return formatTable(['key', 'region', 'by', 'written', 'value'], rows);
}

/** One line of a watch. */
export function formatChange(entry: EntryView): string {
  const winner = winnerIn(entry);
  if (winner === undefined) return `${entry.key}  (absent)`;
  const conflict = entry.conflicted ? `  ⚠ ${conflictCount(entry)}` : '';
  const when = formatTime(Number(winner.unixMs));
  return `${when}  ${pad(winner.region, 10)}  ${pad(winner.author || '–', 16)}  ${entry.key} = ${shortValue(winner)}${conflict}`;
}

export function formatHistory(key: string, items: readonly HistoryItem[]): string {
  if (items.length === 0) return `${key} has no history in this region`;
  const rows = items.map(({ version, current }) => [
    formatDateTime(Number(version?.unixMs ?? 0n)),
    version?.region ?? '–',
    version?.author || '–',
    current ? 'current' : '',
    version === undefined ? '–' : shortValue(version),
  ]);
  return formatTable(['written', 'region', 'by', '', 'value'], rows);
}

/** Conflicts of a region, or that there are none. */
export function formatConflicts(entries: readonly EntryView[]): string {
  if (entries.length === 0) return 'no conflicts';
  const rows = entries.map((entry) => {
    const latest = Math.max(0, ...entry.versions.map(({ unixMs }) => Number(unixMs)));
    const regions = [...new Set(entry.versions.map(({ region }) => region))].join(' ');
    return [entry.key, String(entry.versions.length), regions, formatDateTime(latest)];
  });
  return formatTable(['key', 'versions', 'written in', 'latest'], rows);
}

/** Every version of a key: which one readers see, who wrote it, where and when, and all of its text. */
export function formatConflict(entry: EntryView): string {
  const parts = entry.versions.map((version, i) => {
    const seen = i === entry.winner ? '  ← readers see this one' : '';
    return `[${i + 1}] ${origin(version)}${seen}\n${indented(version)}`;
  });
  const head = entry.conflicted ? conflictCount(entry) : 'not in conflict';
  return [`${entry.key}: ${head}`, ...parts].join('\n\n');
}

export function conflictCount({ versions }: EntryView): string {
  return `in conflict, ${countOf(versions.length, 'version')}`;
}

function indented(version: VersionView): string {
  const text = version.deleted || version.value.length === 0 ? undefined : printable(version.value);
  if (text === undefined) return `    ${shortValue(version)}`;
  return text.trimEnd().replaceAll(/^/gm, '    ');
}

/** @returns undefined for bytes that are not a text, or would do things to a terminal */
function printable(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return /[^\P{C}\n\r\t]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
