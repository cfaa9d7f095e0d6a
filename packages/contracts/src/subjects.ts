import { Failure } from '@meridian/failure';
import type { EventType } from './event-types.ts';

/**
 * The typed table of every subject. It generates `docs/subjects.md`, the brokers' permissions, exports and imports.
 *
 * 1. `task` and `rpc` carry the target region, all others the origin: what a region receives from others and what it
 *    sends to others never overlap, so a link needs no loop detection.
 * 2. Every variable part is exactly one token; `token()` escapes what a token cannot hold.
 * 3. A role may publish and subscribe what its rows say, and nothing else.
 */
export const ROLES = ['scheduler', 'worker', 'sync', 'optimizer', 'initializer', 'consumer', 'auditor'] as const;
export type Role = (typeof ROLES)[number];

export type StreamName = 'TASKS' | 'EVENTS' | 'STATE' | 'HISTORY' | 'JOBS' | 'AUDIT';

export interface SubjectRow {
  /** `{target}` and `{origin}` are regions; other braces are names given by the caller. */
  readonly pattern: string;
  /** How it reaches other regions: a `service` goes to the target and is answered, a `stream` fans out from the origin. */
  readonly crossing: 'service' | 'stream' | 'none';
  /** The stream that stores it in the region named in the subject. */
  readonly stream?: StreamName;
  readonly publishers: readonly Role[];
  /** Core subscriptions; consumers of streams are listed in `streams.ts`. */
  readonly subscribers: readonly Role[];
  readonly types: readonly EventType[];
  /** Type of the answer, for request/reply. */
  readonly replyType?: EventType;
  readonly purpose: string;
}

export const SUBJECTS = {
  task: {
    pattern: 'meridian.{target}.task.{class}.{model}',
    crossing: 'service',
    stream: 'TASKS',
    publishers: ['scheduler'],
    subscribers: [],
    types: ['meridian.task.claim.v1'],
    purpose: 'A claim to one picture, for the workers of the target region.',
  },
  ping: {
    pattern: 'meridian.{target}.rpc.scheduler.ping',
    crossing: 'service',
    publishers: ['scheduler'],
    subscribers: ['scheduler'],
    types: ['meridian.region.ping.v1'],
    replyType: 'meridian.region.pong.v1',
    purpose: 'Round trip and sign of life between regions.',
  },
  traceQuery: {
    pattern: 'meridian.{target}.rpc.scheduler.trace',
    crossing: 'service',
    publishers: ['scheduler'],
    subscribers: ['scheduler'],
    types: ['meridian.trace.query.v1'],
    replyType: 'meridian.trace.found.v1',
    purpose: 'Recent spans of a task or trace that the target region keeps.',
  },
  stateFetch: {
    pattern: 'meridian.{target}.rpc.sync.fetch',
    crossing: 'service',
    publishers: ['sync'],
    subscribers: ['sync'],
    types: ['meridian.state.fetch.v1'],
    replyType: 'meridian.state.fetched.v1',
    purpose: 'Entries that the asker lacks, by difference of vectors, in bounded batches.',
  },
  blobChunk: {
    pattern: 'meridian.{target}.rpc.sync.blob',
    crossing: 'service',
    publishers: ['sync'],
    subscribers: ['sync'],
    types: ['meridian.blob.ask.v1'],
    replyType: 'meridian.blob.chunk.v1',
    purpose: 'One chunk of weights, by digest and offset.',
  },
  delta: {
    pattern: 'meridian.{origin}.sync.delta',
    crossing: 'stream',
    publishers: ['sync'],
    subscribers: ['sync'],
    types: ['meridian.state.delta.v1'],
    purpose: 'New entries of the origin, after its log has them.',
  },
  head: {
    pattern: 'meridian.{origin}.sync.head',
    crossing: 'stream',
    publishers: ['sync'],
    subscribers: ['sync'],
    types: ['meridian.state.head.v1'],
    purpose: "Heartbeat of the origin's replication: what it has seen, and a digest of it.",
  },
  telemetry: {
    pattern: 'meridian.{origin}.telemetry',
    crossing: 'stream',
    publishers: ['scheduler'],
    subscribers: ['scheduler', 'optimizer'],
    types: ['meridian.telemetry.load.v1'],
    purpose: 'Load, capacity and price of a region.',
  },
  demand: {
    pattern: 'meridian.{origin}.demand',
    crossing: 'stream',
    publishers: ['scheduler'],
    subscribers: ['optimizer'],
    types: ['meridian.telemetry.demand.v1'],
    purpose: 'What the callers of a region ask for, and how it reaches the others.',
  },
  plan: {
    pattern: 'meridian.{origin}.plan',
    crossing: 'none',
    publishers: ['optimizer'],
    subscribers: [],
    types: ['meridian.plan.made.v1'],
    purpose: 'Each placement plan that the optimizer of the region has made.',
  },
  spans: {
    pattern: 'meridian.{origin}.spans',
    crossing: 'none',
    publishers: ['scheduler', 'worker', 'sync', 'optimizer'],
    subscribers: ['scheduler'],
    types: ['meridian.trace.spans.v1'],
    purpose: 'Finished spans, kept for a while by the scheduler of the region.',
  },
  event: {
    pattern: 'meridian.{origin}.event.{tenant}.{entity}.{verb}',
    crossing: 'none',
    stream: 'EVENTS',
    publishers: ['scheduler', 'sync'],
    subscribers: ['consumer'],
    types: ['meridian.event.job-changed.v1', 'meridian.event.tasks-placed.v1', 'meridian.event.conflict-changed.v1'],
    purpose: 'Public events for consumers.',
  },
  state: {
    pattern: 'meridian.{origin}.state.{key}',
    crossing: 'none',
    stream: 'STATE',
    publishers: ['sync'],
    subscribers: [],
    types: ['meridian.state.record.v1'],
    purpose: "The region's state log: the last message of a key holds all that is known of it.",
  },
  history: {
    pattern: 'meridian.{origin}.history.{key}',
    crossing: 'none',
    stream: 'HISTORY',
    publishers: ['sync'],
    subscribers: [],
    types: ['meridian.state.version.v1'],
    purpose: 'Versions of configuration keys that the region has seen, superseded ones too.',
  },
  job: {
    pattern: 'meridian.{origin}.job.{job}.{task}',
    crossing: 'none',
    stream: 'JOBS',
    publishers: ['scheduler'],
    subscribers: [],
    types: ['meridian.job.record.v1', 'meridian.job.task.v1', 'meridian.job.dead-letter.v1', 'meridian.job.term.v1'],
    purpose: 'Accepted jobs and final results, by compare-and-set on the last sequence of the subject.',
  },
  audit: {
    pattern: 'meridian.{origin}.audit.{kind}',
    crossing: 'none',
    stream: 'AUDIT',
    publishers: ['scheduler', 'sync'],
    subscribers: [],
    types: [],
    purpose: 'Audit log: no delete, no purge. Its events come with the security work.',
  },
} as const satisfies Record<string, SubjectRow>;

export type SubjectKind = keyof typeof SUBJECTS;

/** Names of the variable parts of a pattern. */
type Parts<P extends string> = P extends `${string}{${infer Name}}${infer Rest}` ? Name | Parts<Rest> : never;
export type SubjectParts<K extends SubjectKind> = Readonly<Record<Parts<(typeof SUBJECTS)[K]['pattern']>, string>>;

/** The subject of a kind. Parts are escaped; `'*'` as a part is kept, as a wildcard to subscribe with. */
export function subject<K extends SubjectKind>(kind: K, parts: SubjectParts<K>): string {
  const given: Readonly<Record<string, string>> = parts;
  return SUBJECTS[kind].pattern.replace(/\{(\w+)\}/g, (_, name: string) => {
    const part = given[name] ?? '';
    return part === '*' ? part : token(part);
  });
}

export interface ParsedSubject {
  readonly kind: SubjectKind;
  /** Values by name, unescaped. */
  readonly parts: Readonly<Record<string, string>>;
}

/** @returns undefined for a subject that no row describes. */
export function parseSubject(text: string): ParsedSubject | undefined {
  const tokens = text.split('.');
  for (const { kind, pattern } of PATTERNS) {
    const parts = matchPattern(pattern, tokens);
    if (parts !== undefined) return { kind, parts };
  }
  return undefined;
}

const PATTERNS = (Object.keys(SUBJECTS) as SubjectKind[]).map((kind) => ({
  kind,
  pattern: SUBJECTS[kind].pattern.split('.'),
}));

function matchPattern(pattern: readonly string[], tokens: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== tokens.length) return undefined;
  // Literal parts first: they tell most rows apart, and nothing is unescaped for those.
  if (pattern.some((expected, i) => !expected.startsWith('{') && expected !== tokens[i])) return undefined;
  const parts: Record<string, string> = {};
  for (const [i, expected] of pattern.entries()) {
    if (!expected.startsWith('{')) continue;
    const value = untoken(tokens[i] ?? '');
    if (value === undefined) return undefined;
    parts[expected.slice(1, -1)] = value;
  }
  return parts;
}

const PLAIN = /^[A-Za-z0-9_/@=:~+-]+$/;
const TOKEN_MAX_CHARS = 200;

/**
 * A name as one subject token: what is not a letter, digit or one of `_/@=:~+-` becomes `%XX` of its UTF-8 bytes.
 * @throws Failure INVALID_ARGUMENT for an empty name, one over 200 characters after escaping, or a broken text.
 */
export function token(name: string): string {
  if (name.length <= TOKEN_MAX_CHARS && PLAIN.test(name)) return name;
  let text = '';
  for (const character of name) {
    if (PLAIN.test(character)) text += character;
    else for (const byte of Buffer.from(character)) text += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (text.length === 0 || text.length > TOKEN_MAX_CHARS || !name.isWellFormed())
    throw new Failure(
      'INVALID_ARGUMENT',
      `a name must have 1 to ${TOKEN_MAX_CHARS} characters: ${JSON.stringify(name.slice(0, 40))}`,
      { reason: 'NAME_INVALID' },
    );
  return text;
}

/** Inverse of {@link token}. @returns undefined for what `token` cannot have made. */
export function untoken(text: string): string | undefined {
  if (text.length > TOKEN_MAX_CHARS || !/^(?:[A-Za-z0-9_/@=:~+-]|%[0-9A-F]{2})+$/.test(text)) return undefined;
  if (!text.includes('%')) return text;
  try {
    const name = decodeURIComponent(text);
    // `%41` would be a second token for `A`: one name, one subject.
    return token(name) === text ? name : undefined;
  } catch {
    return undefined;
  }
}
