/** `0.42 ms`, `12.3 ms`, `1,234 ms`, `12.3 s`: three digits are enough for people. */
export function formatMs(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  if (ms >= 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${formatNumber(ms)} ms`;
}

/** `0.42`, `12.3`, `1,234`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 || value === 0 ? 1 : 2;
  return value
    .toFixed(digits)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '')
    .replace(/\B(?=(?:\d{3})+(?:$|\.))/g, ',');
}

/** `512 B`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${formatNumber(value)} ${units[unit]}`;
}

export function formatPercent(fraction: number): string {
  return `${Math.round(fraction * 100)} %`;
}

/** `14:03:07.123`, local time. */
export function formatTime(unixMs: number): string {
  const date = new Date(unixMs);
  const two = (value: number) => String(value).padStart(2, '0');
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

/** `2026-01-31 14:03:07`, local time; `–` for 0, which is "not yet" on the wire. */
export function formatDateTime(unixMs: number): string {
  if (unixMs === 0) return '–';
  const date = new Date(unixMs);
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, '0'));
  return `${day.join('-')} ${formatTime(unixMs).slice(0, 8)}`;
}

/** `1 picture`, `2 pictures`. */
export function countOf(count: number, noun: string): string {
  return `${formatNumber(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** First characters of a digest: enough to tell versions apart, and what is printed can be searched for. */
export function shortDigest(digest: string | Uint8Array): string {
  const text = typeof digest === 'string' ? digest.replace(/^sha256:/, '') : Buffer.from(digest).toString('hex');
  return text.slice(0, 12);
}
