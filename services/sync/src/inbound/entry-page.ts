import { Failure } from '@meridian/failure';
import type { Entry } from '@meridian/replica';
import { entryBytes } from '../replication/dotted-causal-container.ts';

const LIMIT_DEFAULT = 100;
export const LIST_LIMIT_MAX = 1_000;
/** One answer; with fewer bytes lists of large values take more calls, with more they hold up the connection. */
const PAGE_BYTES_MAX = 2 ** 20;

export interface PageRequest {
  readonly prefix: string;
  readonly afterKey: string;
  /** 0: the default. */
  readonly limit: number;
}

export interface EntryPage {
  readonly entries: readonly Entry[];
  /** '' when nothing is left. */
  readonly nextKey: string;
}

/**
 * Entries in order of their keys, from the key after `afterKey` on: at least one, at most about 1 MiB.
 * @throws Failure INVALID_ARGUMENT / LIMIT_INVALID.
 */
export function pageOf(
  entries: Iterable<Entry>,
  { prefix, afterKey, limit }: PageRequest,
  isWanted: (entry: Entry) => boolean,
): EntryPage {
  if (limit > LIST_LIMIT_MAX)
    throw new Failure('INVALID_ARGUMENT', `limit: expected at most ${LIST_LIMIT_MAX}`, { reason: 'LIMIT_INVALID' });
  const found = Array.from(entries)
    .filter((entry) => entry.key > afterKey && entry.key.startsWith(prefix) && isWanted(entry))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const page: Entry[] = [];
  let bytes = 0;
  for (const entry of found) {
    bytes += entryBytes(entry);
    if (page.length === (limit || LIMIT_DEFAULT) || (page.length > 0 && bytes > PAGE_BYTES_MAX)) break;
    page.push(entry);
  }
  return { entries: page, nextKey: page.length < found.length ? (page.at(-1)?.key ?? '') : '' };
}
