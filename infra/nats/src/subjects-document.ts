import { ROLES, STREAMS, type StreamRow } from '@meridian/contracts';
import { permissionsOf } from './permissions.ts';
import { rows } from './row.ts';

const CROSSING = {
  service: 'to the target, answered',
  stream: 'from the origin to all',
  none: 'stays in the region',
} as const;
const PURPOSE_OF_ROLES = {
  scheduler: 'service `scheduler`',
  worker: 'service `inference-worker`',
  sync: 'service `sync`',
  optimizer: 'service `optimizer`',
  initializer: 'region initialisation: makes the streams, once',
  consumer: 'readers of public events, read-only',
  auditor: 'tests only: sees all, says nothing; not in a configuration unless asked for',
} as const;
const UNITS = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const;

/** Text of docs/subjects.md, from the tables that the brokers' configuration comes from. */
export function docsSubjects(): string {
  return `${[introduction(), subjects(), streams(), permissions()].join('\n\n')}\n`;
}

function introduction(): string {
  return [
    '# Subjects, streams and permissions',
    '',
    '<!-- Made by `node infra/nats/src/write-docs.ts` from packages/contracts; a test compares. Do not edit. -->',
    '',
    'Every message between services is on one of these subjects. The same table makes the permissions, exports and',
    "imports of each region's broker (`infra/nats`), so a subject that is not here cannot be used.",
    '',
    '- `{target}` is the region that a request is for, `{origin}` the region that speaks; a region never speaks for',
    '  another one.',
    '- Every `{part}` is one token: other characters than letters, digits and `_/@=:~+-` are written `%XX`.',
    '- Messages are CloudEvents 1.0 in binary mode: `ce-*` headers, protobuf payload (`proto/`), W3C trace context.',
    "- *durable*: acknowledged when the region's stream has it. Everything else is delivered at most once.",
  ].join('\n');
}

function subjects(): string {
  const body = rows().map((row) => [
    code(row.pattern),
    row.purpose,
    CROSSING[row.crossing],
    row.stream === undefined ? '' : `durable, ${row.stream}`,
    row.publishers.join(', '),
    row.subscribers.join(', '),
    row.types.map(code).join('<br>'),
    row.replyType === undefined ? '' : code(row.replyType),
  ]);
  const head = [
    'Subject',
    'What it is for',
    'Other regions',
    'Stream',
    'Publish',
    'Subscribe',
    'Event types',
    'Answer',
  ];
  return `## Subjects\n\n${table(head, body)}`;
}

function streams(): string {
  const body = STREAMS.map((row) => [
    code(row.name),
    code(row.kind),
    retention(row),
    size(row.bytesMax),
    size(row.messageBytesMax),
    row.discard === 'new' ? 'refuses new messages' : 'drops the oldest',
    duration(row.duplicateWindowMs),
    row.readers.join(', ') || 'none yet',
  ]);
  const head = ['Stream', 'Captures', 'Keeps', 'At most', 'Message', 'When full', '`Nats-Msg-Id` known for', 'Readers'];
  return `## Streams\n\nOne of each in every region's own JetStream domain.\n\n${table(head, body)}`;
}

function permissions(): string {
  const parts = ROLES.map((role) => {
    const { publish, subscribe } = permissionsOf(role, '<region>');
    return [
      `### ${role}`,
      '',
      `${PURPOSE_OF_ROLES[role]}.`,
      '',
      table(['May publish to', 'May subscribe to'], pairUp(publish.map(code), subscribe.map(code))),
    ].join('\n');
  });
  return [
    '## Permissions',
    '',
    '`<region>` is the own region. What is not listed is refused. `$JS.API` subjects are requests to JetStream, `_INBOX_` subjects answers within the region, `_R_` subjects answers to other regions.',
    '',
    parts.join('\n\n'),
  ].join('\n');
}

function retention(row: StreamRow): string {
  const kept = [
    row.retention === 'workqueue' ? 'until one worker has acknowledged it' : '',
    row.messagesPerSubjectMax === undefined ? '' : lastOfSubject(row.messagesPerSubjectMax),
    row.ageMaxMs === undefined ? '' : `for ${duration(row.ageMaxMs)}`,
    row.denyDelete === true ? 'everything: no delete, no purge' : '',
  ];
  return kept.filter((part) => part !== '').join('; ');
}

function lastOfSubject(messages: number): string {
  return messages === 1 ? 'the last message of each subject' : `the last ${messages} messages of each subject`;
}

function size(bytes: number): string {
  const [unit, factor] = UNITS.find(([, factor]) => bytes >= factor) ?? ['B', 1];
  return `${bytes / factor} ${unit}`;
}

function duration(ms: number): string {
  const hours = ms / 3_600_000;
  return hours >= 1 ? `${hours} h` : `${ms / 60_000} min`;
}

function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``;
}

function pairUp(left: readonly string[], right: readonly string[]): string[][] {
  return Array.from({ length: Math.max(left.length, right.length) }, (_, i) => [left[i] ?? '', right[i] ?? '']);
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}
