import { percentile, type Row } from './report.ts';
import type { DocumentsFigures } from './sync-documents.ts';
import type { MeridianFigures } from './sync-meridian.ts';
import type { StarFigures } from './sync-star.ts';
import { KEY_BYTES, VALUE_BYTES } from './sync-workload.ts';

export interface SyncFigures {
  readonly meridian: MeridianFigures;
  readonly jetstream: StarFigures;
  readonly redis: StarFigures | undefined;
  readonly yjs: DocumentsFigures;
  readonly automerge: DocumentsFigures;
}

/** Of a key that is missing: key, value, and seven bytes for who wrote it and when. */
const IDEAL_BYTES = KEY_BYTES + VALUE_BYTES + 7;

/** Peers' figures stand under their names, parts of our own under what they are. */
export function rowsOf(figures: SyncFigures): Row[] {
  return [...liveRows(figures), ...visibilityRows(figures), ...catchUpRows(figures), memoryRow(figures)];
}

function liveRows({ meridian, jetstream, redis, yjs, automerge }: SyncFigures): Row[] {
  const { subject, headers, payload, saved } = meridian.bytes;
  return [
    {
      metric: 'bytes_per_update_per_replica',
      value: subject + headers + payload + saved,
      unit: 'B',
      goal: '<= 60',
      peers: {
        ...{
          subject,
          headers,
          'payload undeflated': payload + saved,
          'as sent': subject + headers + payload,
          'heartbeats and questions meanwhile': meridian.otherBytes,
          'on the links, TLS included': meridian.linkBytes,
        },
        ...given('JetStream mirror', jetstream.bytesPerUpdate),
        ...given('Redis', redis?.bytesPerUpdate),
        ...{ Yjs: yjs.bytesPerUpdate, Automerge: automerge.bytesPerUpdate },
      },
    },
    {
      metric: 'header_bytes_per_update_per_replica',
      value: headers,
      unit: 'B',
      goal: '',
      peers: meridian.headers,
    },
    { metric: 'updates_per_message_ratio', value: meridian.updatesPerMessage, unit: 'ratio', goal: '', peers: {} },
    {
      metric: 'all_see_all_ms',
      value: meridian.allSeeAllMs,
      unit: 'ms',
      goal: redis === undefined ? '' : `<= ${redis.allSeeAllMs.toFixed(0)}`,
      peers: {
        ...given('JetStream mirror', jetstream.allSeeAllMs),
        ...given('Redis', redis?.allSeeAllMs),
        ...{ 'Yjs without links': yjs.totalMs, 'Automerge without links': automerge.totalMs },
      },
    },
    {
      metric: 'sync_cpu_per_update_per_replica_us',
      value: meridian.cpuMicros,
      unit: 'us',
      goal: '',
      peers: { Yjs: yjs.microsPerUpdate, Automerge: automerge.microsPerUpdate },
    },
  ];
}

function visibilityRows({ meridian: { visibilityBeyondDelayMs } }: SyncFigures): Row[] {
  const row = (name: string, share: number, goal: string): Row => ({
    metric: `visibility_beyond_one_way_${name}_ms`,
    value: percentile(visibilityBeyondDelayMs, share),
    unit: 'ms',
    goal,
    peers: {},
  });
  return [row('p50', 0.5, '<= 5'), row('p99', 0.99, '<= 50')];
}

function catchUpRows({ meridian: { catchUp }, yjs, automerge }: SyncFigures): Row[] {
  const { totalMs, idealMs, untilLinkedMs, untilAskedMs, untilAnsweredMs, bytes, bytesOfAll, missing } = catchUp;
  return [
    {
      metric: 'catch_up_over_ideal_ratio',
      value: totalMs / idealMs,
      unit: 'ratio',
      goal: '<= 1.1',
      peers: {
        ...{ 'ms in all': totalMs, 'ms to the first answer': untilAnsweredMs, 'ms bare': idealMs },
        ...{ 'ms from heal to links': untilLinkedMs, 'ms from heal to question': untilAskedMs },
      },
    },
    {
      metric: 'catch_up_bytes_over_ideal_ratio',
      value: bytesOfAll / missing / IDEAL_BYTES,
      unit: 'ratio',
      goal: '<= 1.1',
      peers: {
        'of the first peer': bytes / missing / IDEAL_BYTES,
        'bytes per missing key': bytesOfAll / missing,
        ...{ Yjs: yjs.catchUpBytes / missing / IDEAL_BYTES, Automerge: automerge.catchUpBytes / missing / IDEAL_BYTES },
      },
    },
  ];
}

function memoryRow({ meridian, redis, yjs, automerge }: SyncFigures): Row {
  return {
    metric: 'memory_per_key_bytes',
    value: meridian.memoryPerKeyBytes,
    unit: 'B',
    goal: '',
    peers: {
      ...given('Redis', redis?.memoryPerKeyBytes),
      ...{ Yjs: yjs.memoryPerKeyBytes, Automerge: automerge.memoryPerKeyBytes },
    },
  };
}

function given(name: string, value: number | undefined): Readonly<Record<string, number>> {
  return value === undefined ? {} : { [name]: value };
}
