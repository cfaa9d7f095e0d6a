import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { EVENT_TYPES, parseSubject } from '@meridian/contracts';
import type { ConflictChanged, Placement } from '@meridian/contracts/event';
import type { PublicEvent } from '../event-feed.ts';
import { jobState } from './job.ts';
import { formatTime } from './quantity.ts';
import { pad } from './table.ts';

/** One line: time, region, tenant, what happened to which job or key, and what of it. */
export function formatEvent(event: PublicEvent): string {
  const { envelope, region, subject } = event;
  const parts = parseSubject(subject)?.parts ?? {};
  const what = pad(`${parts.entity ?? '?'} ${parts.verb ?? '?'}`, 14);
  return `${formatTime(envelope.timeMs)}  ${pad(region, 10)}  ${pad(envelope.tenant, 8)}  ${what}  ${detailOf(event)}`;
}

function detailOf(event: PublicEvent): string {
  if (event.type === 'meridian.event.tasks-placed.v1')
    return `${event.data.jobId}: ${placementsOf(event.data.placements)}`;
  if (event.type === 'meridian.event.conflict-changed.v1') return conflictOf(event.data);
  const { job } = event.data;
  if (job === undefined) return '';
  const counts = `${job.tasks} task${job.tasks === 1 ? '' : 's'}, ${job.succeeded} ok, ${job.failed} failed`;
  return `${job.jobId}: ${jobState(job)}, ${counts}, ${job.model}`;
}

/** `config/x: beijing by operator/admin, shanghai by operator/li ← readers see this one`. */
function conflictOf({ key, versions }: ConflictChanged): string {
  const shown = versions.map(({ region, author, winner }) => {
    const seen = winner && versions.length > 1 ? ' ← readers see this one' : '';
    return `${region} by ${author || 'the system'}${seen}`;
  });
  return `${key}: ${shown.join(', ')}`;
}

/** `3 → beijing, 2 → shanghai (worker-lost)`. */
function placementsOf(placements: readonly Placement[]): string {
  const groups = Map.groupBy(placements, ({ region, reason }) => (reason === '' ? region : `${region} (${reason})`));
  return [...groups].map(([where, group]) => `${group.length} → ${where}`).join(', ');
}

/** Where it came from, the envelope for scripts, and the data in protobuf's JSON. */
export function eventJson(event: PublicEvent): Readonly<Record<string, unknown>> {
  const { vector, hlc: _, ...envelope } = event.envelope;
  const { region, subject } = event;
  return { region, subject, ...envelope, versionVector: vector.toString(), data: dataJson(event) };
}

function dataJson(event: PublicEvent): JsonValue {
  if (event.type === 'meridian.event.job-changed.v1') return toJson(EVENT_TYPES[event.type], event.data);
  if (event.type === 'meridian.event.tasks-placed.v1') return toJson(EVENT_TYPES[event.type], event.data);
  return toJson(EVENT_TYPES[event.type], event.data);
}
