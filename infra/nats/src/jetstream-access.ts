import { type Role, STREAMS, type StreamName, SUBJECTS } from '@meridian/contracts';
import { streamRow } from './row.ts';

/**
 * What a role may ask of a stream. JetStream's API is a set of subjects, so each operation is a list of subjects that
 * the role may publish to; nothing else of the API is open to it.
 */
export type StreamOperation =
  /** Number of messages, last sequence. */
  | 'info'
  /** One message by subject or sequence. */
  | 'get'
  /** Removes messages of a subject. The server cannot check which: the subject is in the payload. */
  | 'purge'
  /** Reads what is stored, through a short-lived consumer without acknowledgement. */
  | 'replay'
  /** Takes messages through a durable pull consumer and acknowledges them. */
  | 'consume'
  /** How many messages wait at a consumer. */
  | 'depth'
  /** Deletes the durable consumers, so that those who pull make them anew. */
  | 'reset'
  /** Makes the stream, and checks that it is as it should be. */
  | 'create';

type Access = Readonly<Partial<Record<StreamName, readonly StreamOperation[]>>>;

const EVERY_STREAM_CREATE: Access = Object.fromEntries(STREAMS.map(({ name }) => [name, ['create', 'info']]));

/** Who reads which stream is said in the stream table; this says how. */
export const STREAM_ACCESS: Readonly<Record<Role, Access>> = {
  scheduler: { TASKS: ['info', 'depth', 'reset'], JOBS: ['info', 'get', 'purge', 'replay'] },
  worker: { TASKS: ['consume'] },
  sync: { STATE: ['info', 'get', 'purge', 'replay'], HISTORY: ['info', 'replay'] },
  optimizer: {},
  initializer: EVERY_STREAM_CREATE,
  consumer: { EVENTS: ['consume'] },
  auditor: {},
};

/** The subjects of JetStream's API that the role may publish to in the region, sorted. */
export function jetstreamSubjects(role: Role, region: string): readonly string[] {
  const subjects = new Set<string>();
  for (const [stream, operations] of Object.entries(STREAM_ACCESS[role]) as [StreamName, readonly StreamOperation[]][])
    for (const operation of operations)
      for (const subject of OPERATIONS[operation](stream, region)) subjects.add(subject);
  // The account's limits and use: the client library asks once, to learn that JetStream is there.
  if (role === 'initializer') subjects.add('$JS.API.INFO');
  return [...subjects].sort();
}

const replay = (stream: StreamName, region: string): string[] => [
  // The filter is part of the subject and the server compares it with the request: only a filtered consumer is made.
  `$JS.API.CONSUMER.CREATE.${stream}.*.${filterPrefix(stream, region)}.>`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
];
const depth = (stream: StreamName): string[] => [`$JS.API.CONSUMER.INFO.${stream}.*`];

const OPERATIONS: Readonly<Record<StreamOperation, (stream: StreamName, region: string) => readonly string[]>> = {
  info: (stream) => [`$JS.API.STREAM.INFO.${stream}`],
  get: (stream) => [`$JS.API.STREAM.MSG.GET.${stream}`],
  purge: (stream) => [`$JS.API.STREAM.PURGE.${stream}`],
  replay,
  consume: (stream, region) => [...replay(stream, region), ...depth(stream), `$JS.ACK.${stream}.>`],
  depth,
  reset: (stream) => [`$JS.API.CONSUMER.NAMES.${stream}`, `$JS.API.CONSUMER.DELETE.${stream}.*`],
  create: (stream) => [`$JS.API.STREAM.CREATE.${stream}`],
};

/** `meridian.beijing.task` of `meridian.{target}.task.{class}.{model}`: filters narrow what follows. */
function filterPrefix(stream: StreamName, region: string): string {
  const [root, , name] = SUBJECTS[streamRow(stream).kind].pattern.split('.');
  return `${root}.${region}.${name}`;
}
