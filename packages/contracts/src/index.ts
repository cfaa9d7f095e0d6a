export {
  CAUSES_MAX,
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  isEventId,
  isEventSource,
  isTenant,
  regionOfSource,
} from './envelope.ts';
export { EVENT_TYPES, type EventData, type EventType, isEventType } from './event-types.ts';
export { PRIORITY_CLASSES, type PriorityClassName, STREAMS, type StreamRow, taskConsumer } from './streams.ts';
export {
  type ParsedSubject,
  parseSubject,
  ROLES,
  type Role,
  type StreamName,
  SUBJECTS,
  type SubjectKind,
  type SubjectParts,
  type SubjectRow,
  subject,
  token,
  untoken,
} from './subjects.ts';
