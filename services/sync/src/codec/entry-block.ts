import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ActorId, formatTimestamp, isActorId, parseTimestamp, VersionVector } from '@meridian/causality';
import type { EntryBlock, EntryBlockSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import {
  AUTHOR_CHARS_MAX,
  compareDots,
  ENDED_EPOCHS_MAX,
  type Entry,
  EXTENSION_BYTES_MAX,
  isStateKey,
  VERSIONS_MAX,
  type Version,
} from '@meridian/replica';
import { ByteReader, ByteWriter } from './byte-stream.ts';

/**
 * Many entries in few bytes: a live update costs about four beside its key and value.
 *
 * A row: `shared` characters of the key before, the rest of the key; flags and number of versions; then the versions.
 * A version: flags, then only what does not follow from the version before it (dots and times of one group of writes
 * follow each other), then the value. What an entry has seen beyond the block's context comes last.
 *
 * The text of one block is not unique; nothing is compared by it.
 */
const BLOCK_ENTRIES_MAX = 10_000;
/** Contexts name ended lives to readers who may not have their list. */
export const CONTEXT_ENTRIES_MAX = VersionVector.ENTRIES_MAX + ENDED_EPOCHS_MAX;
/** Shorter rows do not pay for it. */
const DEFLATE_FROM_BYTES = 1024;
/** Of what a block inflates to: a page is at most 512 KiB, an entry 768 KiB. */
const ROWS_BYTES_MAX = 2 * 2 ** 20;

/** Flags of a version. */
const NEXT_DOT = 1;
const NEXT_TIME = 2;
const DELETED = 4;
const AUTHOR = 8;
const EXTENSION = 16;
/** Flag of a row: the context is more than the block's. In the same number as the count of versions, from its second bit. */
const BEYOND = 1;

interface Cursor {
  actor: number;
  counter: number;
  wallMs: number;
  logical: number;
}

export interface BlockOptions {
  /** What every entry has seen. */
  readonly context: VersionVector;
  /** Default true. */
  readonly mayDeflate?: boolean;
}

export function encodeBlock(
  entries: readonly Entry[],
  { context, mayDeflate = true }: BlockOptions,
): MessageInitShape<typeof EntryBlockSchema> {
  const actors: ActorId[] = [];
  const authors: string[] = [];
  const first = entries.find(({ versions }) => versions.length > 0)?.versions[0];
  const cursor: Cursor = { actor: 0, counter: 0, wallMs: 0, logical: 0 };
  if (first !== undefined) {
    actors.push(first.dot.actor);
    Object.assign(cursor, { counter: first.dot.counter - 1, ...first.hlc, logical: first.hlc.logical - 1 });
  }
  const firstHlc = first === undefined ? 0n : BigInt(`0x${formatTimestamp(first.hlc)}`);
  const rows = new ByteWriter();
  let previous = Buffer.alloc(0);
  for (const entry of entries) {
    const key = Buffer.from(entry.key);
    const shared = sharedPrefix(previous, key);
    previous = key;
    rows.varint(shared);
    rows.bytes(key.subarray(shared));
    const isBeyond = !context.dominates(entry.context);
    rows.varint(entry.versions.length * 2 + (isBeyond ? BEYOND : 0));
    for (const version of entry.versions) writeVersion(rows, version, cursor, actors, authors);
    if (isBeyond) rows.text(entry.context.toString());
  }
  const bytes = rows.finish();
  const deflated = mayDeflate && bytes.length >= DEFLATE_FROM_BYTES ? deflateRawSync(bytes, { level: 1 }) : undefined;
  return {
    context: context.toString(),
    actors,
    firstCounter: BigInt(first?.dot.counter ?? 0),
    firstHlc,
    authors,
    count: entries.length,
    content:
      deflated !== undefined && deflated.length < bytes.length
        ? { case: 'deflatedRows', value: deflated }
        : { case: 'rows', value: bytes },
  };
}

/** @throws Failure INVALID_ARGUMENT / ENTRY_INVALID naming what is wrong. Not retryable. */
export function decodeBlock(block: EntryBlock): {
  readonly entries: readonly Entry[];
  readonly context: VersionVector;
} {
  const context = VersionVector.parse(block.context, CONTEXT_ENTRIES_MAX);
  if (context === undefined) throw invalid('context');
  if (!block.actors.every(isActorId)) throw invalid('actors');
  if (block.authors.some((author) => author === '' || author.length > AUTHOR_CHARS_MAX)) throw invalid('authors');
  if (block.count > BLOCK_ENTRIES_MAX) throw invalid('count');
  if (block.count === 0) return { entries: [], context };
  try {
    return { entries: readRows(block, rowsOf(block), context), context };
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw invalid('rows', error);
  }
}

function rowsOf({ content }: EntryBlock): Uint8Array {
  if (content.case === 'deflatedRows') return inflateRawSync(content.value, { maxOutputLength: ROWS_BYTES_MAX });
  return content.value ?? new Uint8Array(0);
}

function readRows(block: EntryBlock, bytes: Uint8Array, context: VersionVector): readonly Entry[] {
  const rows = new ByteReader(bytes);
  const time = parseTimestamp(block.firstHlc.toString(16).padStart(16, '0'));
  const firstCounter = Number(block.firstCounter);
  if (time === undefined || !Number.isSafeInteger(firstCounter)) throw invalid('first version');
  const cursor: Cursor = { actor: 0, counter: firstCounter - 1, wallMs: time.wallMs, logical: time.logical - 1 };
  const entries: Entry[] = [];
  let previous = Buffer.alloc(0);
  for (let i = 0; i < block.count; i++) {
    const shared = rows.varint();
    if (shared > previous.length) throw invalid('key');
    previous = Buffer.concat([previous.subarray(0, shared), rows.bytes()]);
    entries.push(readRow(rows, keyOf(previous), cursor, block, context));
  }
  if (!rows.isAtEnd) throw invalid('end');
  return entries;
}

function readRow(rows: ByteReader, key: string, cursor: Cursor, block: EntryBlock, context: VersionVector): Entry {
  const head = rows.varint();
  const count = Math.floor(head / 2);
  if (count > VERSIONS_MAX) throw invalid('number of versions');
  const versions: Version[] = [];
  for (let i = 0; i < count; i++) {
    const version = readVersion(rows, cursor, block);
    const before = versions.at(-1);
    if (before !== undefined && compareDots(before.dot, version.dot) >= 0) throw invalid('order of the dots');
    versions.push(version);
  }
  const isBeyond = (head & BEYOND) !== 0;
  const seen = isBeyond ? VersionVector.parse(rows.text(), CONTEXT_ENTRIES_MAX) : context;
  if (seen === undefined) throw invalid('context of an entry');
  // Contexts leave out what a list of ended epochs says, also when a version is that old.
  const isCovered = versions.every(({ dot }) => seen.contains(dot));
  const dots = isCovered ? [] : versions.map(({ dot }) => [dot.actor, dot.counter] as const);
  return { key, versions, context: isCovered ? seen : seen.merge(VersionVector.of(dots)) };
}

function writeVersion(
  rows: ByteWriter,
  { dot, hlc, value, deleted, author, extension }: Version,
  cursor: Cursor,
  actors: ActorId[],
  authors: string[],
): void {
  const actor = indexIn(actors, dot.actor);
  const isNextDot = actor === cursor.actor && dot.counter === cursor.counter + 1;
  const isNextTime = hlc.wallMs === cursor.wallMs && hlc.logical === cursor.logical + 1;
  rows.varint(
    (isNextDot ? NEXT_DOT : 0) |
      (isNextTime ? NEXT_TIME : 0) |
      (deleted ? DELETED : 0) |
      (author === undefined ? 0 : AUTHOR) |
      (extension === undefined ? 0 : EXTENSION),
  );
  if (!isNextDot) {
    rows.varint(actor);
    rows.varint(dot.counter);
  }
  if (!isNextTime) {
    rows.varint(hlc.wallMs);
    rows.varint(hlc.logical);
  }
  if (author !== undefined) rows.varint(indexIn(authors, author));
  if (extension !== undefined) rows.bytes(extension);
  if (!deleted) rows.bytes(value);
  Object.assign(cursor, { actor, counter: dot.counter, ...hlc });
}

function readVersion(rows: ByteReader, cursor: Cursor, block: EntryBlock): Version {
  const flags = rows.varint();
  if ((flags & NEXT_DOT) !== 0) cursor.counter++;
  else Object.assign(cursor, { actor: rows.varint(), counter: rows.varint() });
  if ((flags & NEXT_TIME) !== 0) cursor.logical++;
  else Object.assign(cursor, { wallMs: rows.varint(), logical: rows.varint() });
  const { counter, wallMs, logical } = cursor;
  const actor = block.actors[cursor.actor];
  if (actor === undefined || !isActorId(actor) || counter < 1) throw invalid('dot');
  if (wallMs >= 2 ** 48 || logical < 0 || logical > 0xffff) throw invalid('time');
  const author = (flags & AUTHOR) === 0 ? undefined : block.authors[rows.varint()];
  if ((flags & AUTHOR) !== 0 && author === undefined) throw invalid('author');
  const extension = (flags & EXTENSION) === 0 ? undefined : rows.bytes();
  if (extension !== undefined && (extension.length === 0 || extension.length > EXTENSION_BYTES_MAX))
    throw invalid('extension');
  const deleted = (flags & DELETED) !== 0;
  return {
    ...{ dot: { actor, counter }, hlc: { wallMs, logical }, value: deleted ? NOTHING : rows.bytes(), deleted },
    ...(author !== undefined && { author }),
    ...(extension !== undefined && { extension }),
  };
}

const NOTHING = new Uint8Array(0);
const UTF8 = new TextDecoder('utf-8', { fatal: true });

function keyOf(bytes: Uint8Array): string {
  const key = UTF8.decode(bytes);
  if (!isStateKey(key)) throw invalid('key');
  return key;
}

function indexIn<T>(table: T[], item: T): number {
  const index = table.indexOf(item);
  return index >= 0 ? index : table.push(item) - 1;
}

function sharedPrefix(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function invalid(field: string, cause?: unknown): Failure {
  return new Failure('INVALID_ARGUMENT', `entries: the ${field} is not valid`, { reason: 'ENTRY_INVALID', cause });
}
