import type { Role } from '@meridian/contracts';
import { jetstreamSubjects } from './jetstream-access.ts';
import { carriesTarget, rows, subjectsOf } from './row.ts';

/** What a role may do at the broker of its region. Everything else is refused: the lists are complete. */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** May answer, once, a request that it was sent. */
  readonly mayRespond: boolean;
}

/** Replies to a role's requests. Other roles cannot listen there. */
export function inbox(role: Role): string {
  return `_INBOX_${role}.>`;
}

/**
 * Derived from the subject table and the stream table.
 * The auditor, which exists in tests only, sees everything and says nothing.
 */
export function permissionsOf(role: Role, region: string): Permissions {
  if (role === 'auditor') return { publish: [], subscribe: ['>'], mayRespond: false };
  const published = rows()
    .filter((row) => row.publishers.includes(role))
    // A target may be any region; an origin is always the own one: nobody speaks for another region.
    .map((row) => subjectsOf(row, carriesTarget(row) ? '*' : region));
  const subscribed = rows()
    .filter((row) => row.subscribers.includes(role))
    .map((row) => subjectsOf(row, row.crossing === 'stream' ? '*' : region));
  return {
    publish: [...published, ...jetstreamSubjects(role, region)],
    subscribe: [...subscribed, inbox(role)],
    mayRespond: rows().some((row) => row.subscribers.includes(role) && row.replyType !== undefined),
  };
}
