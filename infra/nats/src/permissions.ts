import type { Role } from '@meridian/contracts';
import { jetstreamSubjects } from './jetstream-access.ts';
import { carriesTarget, rows, subjectsOf } from './row.ts';

/** What a role may do at the broker of its region. Everything else is refused: the lists are complete. */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/**
 * Reply subjects that a broker makes up for requests from another account, so for all that come from other regions. Each
 * is known to who was asked only, takes one answer, and is gone with it.
 */
const FOREIGN_REPLIES = '_R_.>';

/** Replies to a role's requests. Other roles cannot listen there. */
export function inbox(role: Role): string {
  return `_INBOX_${role}.>`;
}

/**
 * Derived from the subject table and the stream table.
 * The auditor, which exists in tests only, sees everything and says nothing.
 */
export function permissionsOf(role: Role, region: string): Permissions {
  if (role === 'auditor') return { publish: [], subscribe: ['>'] };
  const published = rows()
    .filter((row) => row.publishers.includes(role))
    // A target may be any region; an origin is always the own one: nobody speaks for another region.
    .map((row) => subjectsOf(row, carriesTarget(row) ? '*' : region));
  const subscribed = rows()
    .filter((row) => row.subscribers.includes(role))
    .map((row) => subjectsOf(row, row.crossing === 'stream' ? '*' : region));
  return {
    publish: [...published, ...answers(role), ...jetstreamSubjects(role, region)],
    subscribe: [...subscribed, inbox(role)],
  };
}

/**
 * Where a role's answers go: to those who may ask it. Not by the broker's `allow_responses`: see
 * docs/adr/005-answers-by-subject.md.
 */
function answers(role: Role): readonly string[] {
  const answered = rows().filter((row) => row.subscribers.includes(role) && row.replyType !== undefined);
  const subjects = answered.flatMap((row) => [
    ...row.publishers.map(inbox),
    ...(row.crossing === 'service' ? [FOREIGN_REPLIES] : []),
  ]);
  return [...new Set(subjects)].sort();
}
