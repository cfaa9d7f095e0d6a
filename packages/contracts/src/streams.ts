import type { Role, StreamName, SubjectKind } from './subjects.ts';

export interface StreamRow {
  readonly name: StreamName;
  /** Captures this kind's subjects that name the own region. */
  readonly kind: SubjectKind;
  readonly retention: 'workqueue' | 'limits';
  /** 1: the last message of a subject replaces the one before. */
  readonly messagesPerSubjectMax?: number;
  /** At the limit: refuse the new message, or drop the oldest. */
  readonly discard: 'new' | 'old';
  readonly bytesMax: number;
  readonly messageBytesMax: number;
  readonly ageMaxMs?: number;
  /** `Nats-Msg-Id` is remembered this long. */
  readonly duplicateWindowMs: number;
  readonly denyDelete?: boolean;
  /** Roles that read it, through consumers or by subject. */
  readonly readers: readonly Role[];
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const MIB = 2 ** 20;

/** Created once by region initialisation, in the region's own JetStream domain. */
export const STREAMS: readonly StreamRow[] = [
  {
    name: 'TASKS',
    kind: 'task',
    retention: 'workqueue',
    discard: 'new',
    bytesMax: 256 * MIB,
    messageBytesMax: 16 * 1024,
    duplicateWindowMs: 2 * MINUTE_MS,
    readers: ['worker', 'scheduler'],
  },
  {
    name: 'EVENTS',
    kind: 'event',
    retention: 'limits',
    discard: 'old',
    bytesMax: 256 * MIB,
    messageBytesMax: 512 * 1024,
    ageMaxMs: DAY_MS,
    duplicateWindowMs: 2 * MINUTE_MS,
    readers: ['consumer'],
  },
  {
    name: 'STATE',
    kind: 'state',
    retention: 'limits',
    messagesPerSubjectMax: 1,
    discard: 'new',
    bytesMax: 256 * MIB,
    messageBytesMax: MIB,
    duplicateWindowMs: 2 * MINUTE_MS,
    readers: ['sync'],
  },
  {
    name: 'HISTORY',
    kind: 'history',
    retention: 'limits',
    messagesPerSubjectMax: 32,
    discard: 'old',
    bytesMax: 64 * MIB,
    messageBytesMax: 256 * 1024,
    duplicateWindowMs: 2 * MINUTE_MS,
    readers: ['sync'],
  },
  {
    name: 'JOBS',
    kind: 'job',
    retention: 'limits',
    messagesPerSubjectMax: 1,
    discard: 'new',
    bytesMax: 1024 * MIB,
    messageBytesMax: 4 * MIB,
    duplicateWindowMs: 2 * MINUTE_MS,
    readers: ['scheduler'],
  },
  {
    name: 'AUDIT',
    kind: 'audit',
    retention: 'limits',
    discard: 'new',
    bytesMax: 256 * MIB,
    messageBytesMax: 64 * 1024,
    duplicateWindowMs: 2 * MINUTE_MS,
    denyDelete: true,
    readers: [],
  },
];

export const PRIORITY_CLASSES = ['high', 'normal', 'low'] as const;
export type PriorityClassName = (typeof PRIORITY_CLASSES)[number];

/** Name of the durable pull consumer of one priority class and model on TASKS. */
export function taskConsumer(priority: PriorityClassName, model: string): string {
  return `${priority}_${model}`;
}
