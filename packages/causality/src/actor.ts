/**
 * An actor is one life of one region's state log, written `region@epoch`.
 *
 * A region that cannot know whether peers saw more of its log than it did opens a new epoch, so an actor never
 * counts the same number twice (Riak kv679: a reused counter silently loses acknowledged writes).
 * `region`: 1–63 characters of `[a-z0-9-]`; `epoch`: 64 random bits as 16 lower-case hexadecimal digits.
 */
export type ActorId = string & { readonly __actor: unique symbol };

const ACTOR = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?@[0-9a-f]{16}$/;

export function isActorId(text: string): text is ActorId {
  return ACTOR.test(text);
}

export function actorId(region: string, epoch: bigint): ActorId {
  const id = `${region}@${BigInt.asUintN(64, epoch).toString(16).padStart(16, '0')}`;
  if (!isActorId(id)) throw new RangeError(`not a region name: ${JSON.stringify(region)}`);
  return id;
}

export function regionOf(actor: ActorId): string {
  return actor.slice(0, actor.indexOf('@'));
}
