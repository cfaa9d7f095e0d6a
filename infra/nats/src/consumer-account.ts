import { type Export, importsFrom } from './account-links.ts';
import type { ConfValue } from './conf-text.ts';
import { inbox, type Permissions, permissionsOf } from './permissions.ts';

/**
 * Readers of public events have an account of their own.
 *
 * JetStream answers a request on whatever reply subject it names, with the rights of the server. Inside the
 * application's account a reader could so have an answer written over a record of STATE or JOBS; from here its replies
 * lead nowhere but to itself.
 *
 * The price: the server does not see that a reader has gone while it waits, so what it was sent waits for the ack wait.
 * Workers, whose claims must not wait, therefore stay in the application's account.
 *
 * 1. What a reader may do is in the tables, as for every role; each of these subjects is imported, and nothing else.
 * 2. API requests get another name on the way in: every account answers to `$JS.API` by itself, so both would answer.
 */
export const CONSUMER_ACCOUNT = 'CONSUMERS';

const API = '$JS.API.';
const RENAMED_API = '$JS.events.API.';

/** What the application's account exports to the readers' account. */
export function exportsToConsumers(region: string): Export[] {
  const { publish, subscribe } = permissionsOf('consumer', region);
  return [
    ...publish.map(
      (subject): Export =>
        // A pull is answered by many messages, every other request by one.
        subject.includes('.MSG.NEXT.') ? { service: subject, response_type: 'stream' } : { service: subject },
    ),
    ...subscribe.filter((subject) => subject !== inbox('consumer')).map((subject): Export => ({ stream: subject })),
  ];
}

export function consumerAccount(
  region: string,
  applicationAccount: string,
  user: (permissions: Permissions) => ConfValue,
): ConfValue {
  const permissions = permissionsOf('consumer', region);
  return {
    mappings: Object.fromEntries(
      permissions.publish
        .filter((subject) => subject.startsWith(API))
        .map((subject) => [subject, placed(renamed(subject))]),
    ),
    // The server checks what a subject was mapped to.
    users: [user({ ...permissions, publish: permissions.publish.map(renamed) })],
    imports: importsFrom(applicationAccount, exportsToConsumers(region), (subject) =>
      subject.startsWith(API) ? renamed(subject) : undefined,
    ),
  };
}

function renamed(subject: string): string {
  return subject.startsWith(API) ? `${RENAMED_API}${subject.slice(API.length)}` : subject;
}

/** A mapping's destination names the wildcards of its source by their place. */
function placed(subject: string): string {
  let place = 0;
  return subject.replaceAll('*', () => `$${++place}`);
}
