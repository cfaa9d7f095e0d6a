import type { Message } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { BlobAskSchema, BlobChunkSchema } from './gen/meridian/blob/v1/blob_pb.ts';
import { ConflictChangedSchema, JobChangedSchema, TasksPlacedSchema } from './gen/meridian/event/v1/event_pb.ts';
import { PlanSchema } from './gen/meridian/plan/v1/plan_pb.ts';
import {
  GetTraceRequestSchema,
  GetTraceResponseSchema,
  PingSchema,
  PongSchema,
  SpanBatchSchema,
} from './gen/meridian/region/v1/region_pb.ts';
import {
  DeltaSchema,
  FetchRequestSchema,
  FetchResponseSchema,
  HeadSchema,
  LogRecordSchema,
  SeenVersionSchema,
} from './gen/meridian/state/v1/state_pb.ts';
import {
  DeadLetterSchema,
  JobRecordSchema,
  SchedulerTermSchema,
  TaskClaimSchema,
  TaskRecordSchema,
} from './gen/meridian/task/v1/task_pb.ts';
import { DemandReportSchema, LoadReportSchema } from './gen/meridian/telemetry/v1/telemetry_pb.ts';

/** CloudEvents `type` → protobuf schema of the data. A change that old readers cannot take needs a new version. */
export const EVENT_TYPES = {
  'meridian.task.claim.v1': TaskClaimSchema,
  'meridian.job.record.v1': JobRecordSchema,
  'meridian.job.task.v1': TaskRecordSchema,
  'meridian.job.dead-letter.v1': DeadLetterSchema,
  'meridian.job.term.v1': SchedulerTermSchema,
  'meridian.event.job-changed.v1': JobChangedSchema,
  'meridian.event.tasks-placed.v1': TasksPlacedSchema,
  'meridian.event.conflict-changed.v1': ConflictChangedSchema,
  'meridian.telemetry.load.v1': LoadReportSchema,
  'meridian.telemetry.demand.v1': DemandReportSchema,
  'meridian.plan.made.v1': PlanSchema,
  'meridian.region.ping.v1': PingSchema,
  'meridian.region.pong.v1': PongSchema,
  'meridian.trace.query.v1': GetTraceRequestSchema,
  'meridian.trace.found.v1': GetTraceResponseSchema,
  'meridian.trace.spans.v1': SpanBatchSchema,
  'meridian.state.record.v1': LogRecordSchema,
  'meridian.state.version.v1': SeenVersionSchema,
  'meridian.state.delta.v1': DeltaSchema,
  'meridian.state.head.v1': HeadSchema,
  'meridian.state.fetch.v1': FetchRequestSchema,
  'meridian.state.fetched.v1': FetchResponseSchema,
  'meridian.blob.ask.v1': BlobAskSchema,
  'meridian.blob.chunk.v1': BlobChunkSchema,
} as const satisfies Record<string, GenMessage<Message>>;

export type EventType = keyof typeof EVENT_TYPES;

/** The message that an event of the type carries. */
export type EventData<T extends EventType> = (typeof EVENT_TYPES)[T] extends GenMessage<infer M> ? M : never;

export function isEventType(text: string): text is EventType {
  return Object.hasOwn(EVENT_TYPES, text);
}
