import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isEventType } from './event-types.ts';
import { STREAMS, taskConsumer } from './streams.ts';
import { parseSubject, SUBJECTS, type SubjectKind, type SubjectRow, subject, token, untoken } from './subjects.ts';

const KINDS = Object.keys(SUBJECTS) as SubjectKind[];
const ROWS: Readonly<Record<SubjectKind, SubjectRow>> = SUBJECTS;

/** Any name that `token` takes: not empty, and not over its length when escaped. */
const names = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 16 })
  .filter((name) => name.isWellFormed() && name !== '*');

/** A kind with a value for each of its variable parts. */
const kindsWithParts = fc
  .constantFrom(...KINDS)
  .chain((kind) =>
    fc
      .record(Object.fromEntries(partNames(kind).map((part) => [part, names])))
      .map((parts) => ({ kind, parts: { ...parts } as Record<string, string> })),
  );

describe('token', () => {
  test('is one token, and untoken gives the name back', () => {
    fc.assert(
      fc.property(names, (name) => {
        const text = token(name);
        expect(text).toMatch(/^[A-Za-z0-9_/@=:~+%-]{1,200}$/);
        expect(untoken(text)).toBe(name);
      }),
    );
  });

  test('different names never share a token', () => {
    fc.assert(fc.property(names, names, (a, b) => (a === b) === (token(a) === token(b))));
  });

  test('untoken takes nothing that token cannot have made', () => {
    for (const text of ['', 'a.b', 'a b', '%', '%4', '%zz', '%FF', 'a%2', '*', '>', 'a\r\n', '%41%C3', '%41', '%c3%a4'])
      expect(untoken(text)).toBeUndefined();
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), (text) => {
        const name = untoken(text);
        if (name !== undefined) expect(token(name)).toBe(text);
      }),
    );
  });

  test('empty and overlong names are refused', () => {
    for (const name of ['', 'x'.repeat(201), 'ü'.repeat(34)])
      expect(() => token(name)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'NAME_INVALID' }));
    expect(token('x'.repeat(200))).toHaveLength(200);
  });
});

describe('subjects', () => {
  test('parseSubject is the inverse of subject', () => {
    fc.assert(
      fc.property(kindsWithParts, ({ kind, parts }) => {
        expect(parseSubject(build(kind, parts))).toEqual({ kind, parts });
      }),
    );
  });

  test('no subject belongs to two rows', () => {
    fc.assert(
      fc.property(kindsWithParts, ({ kind, parts }) => {
        const tokens = build(kind, parts).split('.');
        const matching = KINDS.filter((other) => matches(ROWS[other].pattern.split('.'), tokens));
        expect(matching).toEqual([kind]);
      }),
    );
  });

  test('parseSubject never throws, and knows nothing outside the table', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(fc.string(), { maxLength: 8 }).map((t) => t.join('.')),
        ),
        (text) => {
          const parsed = parseSubject(text);
          if (parsed !== undefined) expect(build(parsed.kind, { ...parsed.parts })).toBe(text);
        },
      ),
    );
    for (const text of [
      '',
      'meridian',
      'meridian.a',
      'meridian.a.task.normal',
      'other.a.telemetry',
      'meridian..telemetry',
    ])
      expect(parseSubject(text)).toBeUndefined();
  });

  test('what a region takes in over links and what it sends out never overlap', () => {
    fc.assert(
      fc.property(kindsWithParts, names, ({ kind, parts }, own) => {
        const row = ROWS[kind];
        fc.pre(row.crossing !== 'none');
        const text = build(kind, parts);
        const comesIn = row.crossing === 'service' ? parts.target === own : parts.origin !== own;
        const goesOut = row.crossing === 'service' ? parts.target !== own : parts.origin === own;
        expect(comesIn).toBe(!goesOut);
        expect(parseSubject(text)?.kind).toBe(kind);
      }),
    );
  });

  test('every row names exactly one region first, by its crossing', () => {
    for (const kind of KINDS) {
      const row = ROWS[kind];
      const region = row.pattern.split('.')[1];
      expect(row.pattern.startsWith('meridian.')).toBe(true);
      expect(['{target}', '{origin}']).toContain(region);
      if (row.crossing === 'service') expect(region).toBe('{target}');
      if (row.crossing === 'stream') expect(region).toBe('{origin}');
      expect(row.pattern.match(/\{(target|origin)\}/g)).toHaveLength(1);
    }
  });

  test('every type of every row is registered, and a request has a reply type', () => {
    for (const kind of KINDS) {
      const row = ROWS[kind];
      for (const type of row.types) expect(isEventType(type)).toBe(true);
      if (row.replyType !== undefined) expect(isEventType(row.replyType)).toBe(true);
      expect(row.replyType !== undefined).toBe(row.pattern.includes('.rpc.'));
    }
  });
});

describe('streams', () => {
  test('rows and subjects name each other', () => {
    for (const stream of STREAMS) expect(ROWS[stream.kind].stream).toBe(stream.name);
    const stored = KINDS.filter((kind) => ROWS[kind].stream !== undefined);
    expect(STREAMS.map((stream) => stream.kind).toSorted()).toEqual(stored.toSorted());
    expect(new Set(STREAMS.map((stream) => stream.name)).size).toBe(STREAMS.length);
  });

  test('a consumer name of a catalogue model is one token', () => {
    expect(taskConsumer('high', 'centernet-320')).toBe('high_centernet-320');
  });
});

function build(kind: SubjectKind, parts: Record<string, string>): string {
  return (subject as (kind: SubjectKind, parts: Record<string, string>) => string)(kind, parts);
}

function partNames(kind: SubjectKind): string[] {
  return Array.from(ROWS[kind].pattern.matchAll(/\{(\w+)\}/g), (match) => match[1] ?? '');
}

function matches(pattern: string[], tokens: string[]): boolean {
  return pattern.length === tokens.length && pattern.every((part, i) => part.startsWith('{') || part === tokens[i]);
}
