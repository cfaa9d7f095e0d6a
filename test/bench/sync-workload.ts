import { seededRandom } from '@meridian/runtime';

/** One write. Texts are ASCII: their lengths are bytes. */
export interface Update {
  readonly key: string;
  readonly value: string;
}

/** `config/` and fourteen random characters: beyond the kind, keys share only what chance gives them. */
export const KEY_BYTES = 21;
/** Random characters, no two alike: neither deflate nor a dictionary makes them smaller. */
export const VALUE_BYTES = 32;

const PREFIX = 'config/';
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** Different keys, the same for the same seed. */
export function keysOf(seed: number, count: number): string[] {
  const text = texts(seed);
  const keys = new Set<string>();
  while (keys.size < count) keys.add(PREFIX + text(KEY_BYTES - PREFIX.length));
  return [...keys];
}

/** Writes to keys that are drawn at random, so that a batch may hold a key twice; every value is a new one. */
export function updatesOf(seed: number, keys: readonly string[], count: number): Update[] {
  const random = seededRandom(seed);
  const value = texts(seed + 1);
  return Array.from({ length: count }, () => ({ key: keys[random.int(keys.length)] ?? '', value: value(VALUE_BYTES) }));
}

/** One write to each key. */
export function onceEach(seed: number, keys: readonly string[]): Update[] {
  const value = texts(seed);
  return keys.map((key) => ({ key, value: value(VALUE_BYTES) }));
}

/** Dealt out one by one, as many as there are writers. */
export function dealt<T>(items: readonly T[], writers: number): T[][] {
  return Array.from({ length: writers }, (_, writer) => items.filter((_, i) => i % writers === writer));
}

export function batchesOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

function texts(seed: number): (length: number) => string {
  const random = seededRandom(seed);
  return (length) => Array.from({ length }, () => LETTERS[random.int(LETTERS.length)]).join('');
}
