import { type ActorId, type Dot, regionOf, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import {
  ENDED_EPOCHS_MAX,
  type EndedEpochs,
  type Entry,
  encodeEndedEpochs,
  encodeMember,
  encodeSeal,
  epochsKey,
  memberKey,
  sealKey,
} from '@meridian/replica';
import { livesOf, type Membership } from './membership.ts';
import type { NodeClock } from './node-clock.ts';
import type { Change } from './protocol.ts';
import type { View } from './view.ts';

/** What a region has to write by itself, so that vectors stay short and removed regions are sealed. */
export interface UpkeepSources {
  readonly region: string;
  readonly view: View;
  readonly clock: NodeClock;
  readonly membership: Membership;
  readonly ended: EndedEpochs;
  /** Everybody has been asked since holes were seen: what is missing in them is nowhere. */
  readonly mayCloseHoles: boolean;
  /** Lives of this region's log that peers have heard of lately: they may not be over. */
  readonly living: ReadonlySet<ActorId>;
}

/**
 * The list of this region's lives before the current one, each with how far it is known; undefined when it says nothing
 * new.
 * @throws Failure FAILED_PRECONDITION / VECTOR_FULL when the list is full.
 */
export function earlierLives(sources: UpkeepSources): Change | undefined {
  const { region, clock, ended, mayCloseHoles } = sources;
  const seen = mayCloseHoles ? clock.vector.merge(holesOf(sources, region)) : clock.vector;
  return listOf(
    region,
    ended,
    livesOf(region, seen).filter(([actor]) => actor !== clock.lineage.actor),
  );
}

/** @throws Failure FAILED_PRECONDITION / VECTOR_FULL when the vector has no room for a new life of the region. */
export function requireRoomForLife({ region, clock, ended }: UpkeepSources): void {
  // Its earlier lives leave the vector with the first event of the new one.
  const others = [...ended.outward(clock.vector).entries()].filter(([actor]) => regionOf(actor) !== region);
  if (others.length >= VersionVector.ENTRIES_MAX) throw vectorFull();
}

/** What is to be written now, of different keys. Only a region that has written in this life speaks of its earlier ones. */
export function dueChanges(sources: UpkeepSources): Change[] {
  const { region, clock, membership, mayCloseHoles } = sources;
  const changes: Change[] = [];
  for (const removed of membership.unsealedHere) changes.push(sealChange(sources, removed));
  for (const removed of membership.removed)
    if (hasBehindSeal(sources, removed)) changes.push(sealChange(sources, removed));
  if (membership.isFirst)
    for (const removed of membership.removed) {
      const change = removedLives(sources, removed);
      if (change !== undefined) changes.push(change);
    }
  const hasHole = mayCloseHoles && holesOf(sources, region).size > 0;
  if (hasHole || (clock.lineage.actor !== undefined && hasUnlistedLife(sources))) {
    const change = earlierLives(sources);
    if (change !== undefined && !changes.some(({ key }) => key === epochsKey(region))) changes.push(change);
  }
  return changes;
}

/** What is left of an entry without its stable deletions. */
export interface Collection {
  readonly dots: readonly Dot[];
  readonly entry: Entry;
}

/** Deletions that no member can miss any more. */
export function dueCollections(
  { view, clock, membership }: UpkeepSources,
  seenBy: (region: string) => VersionVector | undefined,
  keysMax: number,
): Collection[] {
  const witnesses = membership.witnesses.map(seenBy);
  const due: Collection[] = [];
  for (const entry of view.collectable()) {
    if (due.length >= keysMax) break;
    const stable = entry.versions.filter(
      ({ dot, deleted }) =>
        deleted && clock.vector.contains(dot) && witnesses.every((seen) => seen?.contains(dot) === true),
    );
    const left = entry.versions.filter((version) => !stable.includes(version));
    if (stable.length === 0 && entry.versions.length > 0) continue;
    due.push({ dots: stable.map(({ dot }) => dot), entry: { ...entry, versions: left } });
  }
  return due;
}

/** @throws Failure NOT_FOUND / REGION_UNKNOWN, FAILED_PRECONDITION / OWN_REGION. Not retryable. */
export function memberChange(
  { region: own, membership }: UpkeepSources,
  region: string,
  action: 'add' | 'remove',
): Change {
  const state = membership.stateOf(region);
  const generation = membership.generationOf(region);
  if (region === own)
    throw new Failure('FAILED_PRECONDITION', `a region cannot ${action} itself: ask another one`, {
      reason: 'OWN_REGION',
    });
  if (action === 'remove' && state === 'unknown')
    throw new Failure('NOT_FOUND', `no region ${JSON.stringify(region.slice(0, 63))} is known`, {
      reason: 'REGION_UNKNOWN',
    });
  if (action === 'add' && state === 'removing')
    throw new Failure('FAILED_PRECONDITION', `${region} is being removed: add it when it is sealed`, {
      reason: 'NOT_SEALED_YET',
      retryable: true,
      retryDelayMs: 1_000,
    });
  if (action === 'add' && state === 'active')
    throw new Failure('ALREADY_EXISTS', `${region} is a member already`, { reason: 'ALREADY_MEMBER' });
  const isRemoved = action === 'remove';
  const isBack = action === 'add' && state === 'removed';
  const value = encodeMember({ isRemoved, generation: isBack ? generation + 1 : generation });
  return { key: memberKey(region), value, when: 'differs' };
}

/**
 * What this region had seen of the removed one, also beyond its clock. It listens to it no more. A seal that is there
 * already only rises.
 */
function sealChange({ region, view, clock, membership }: UpkeepSources, removed: string): Change {
  let seen = VersionVector.of(livesOf(removed, clock.vector)).merge(membership.sealOf(removed) ?? VersionVector.EMPTY);
  for (const { versions } of view.entries())
    for (const { dot } of versions)
      if (regionOf(dot.actor) === removed) seen = seen.merge(VersionVector.of([[dot.actor, dot.counter]]));
  const unseen = [...namedAhead(view, removed)].filter((actor) => seen.counterOf(actor) === 0).sort();
  const generation = membership.generationOf(removed);
  const value = encodeSeal({ generation, seen: [...seen.entries()], unseen });
  return { key: sealKey(removed, region), value, when: 'differs' };
}

/** Lives of the region that contexts name beyond the clock. */
function namedAhead(view: View, region: string): Set<ActorId> {
  const named = new Set<ActorId>();
  for (const { context } of view.ahead())
    for (const [actor] of context.entries()) if (regionOf(actor) === region) named.add(actor);
  return named;
}

/**
 * Something of a removed region is here that the seal leaves out. Then another process has sealed in this region's name: a
 * twin, or the life before the log was lost. The others cannot take it over unless the seal has it.
 */
function hasBehindSeal({ view, clock, membership }: UpkeepSources, removed: string): boolean {
  const isBehind = (dot: Dot) => regionOf(dot.actor) === removed && membership.isVoid(dot);
  for (const [actor, counter] of clock.vector.entries()) if (isBehind({ actor, counter })) return true;
  for (const { versions } of view.ahead()) if (versions.some(({ dot }) => isBehind(dot))) return true;
  return [...namedAhead(view, removed)].some((actor) => !membership.wasSealed(actor));
}

/** Once the seal is covered here, the lives of the removed region may leave the vectors. */
function removedLives(sources: UpkeepSources, removed: string): Change | undefined {
  const { clock, membership, ended, mayCloseHoles } = sources;
  const seal = membership.sealOf(removed);
  if (seal === undefined || !(mayCloseHoles || clock.vector.dominates(seal))) return undefined;
  return listOf(removed, ended, seal.entries());
}

/**
 * Events of ended lives of the region that came without those before them: its log was lost or went back, and others had
 * taken some of it. No clock can get past what nobody has any more, unless the list says that it is over.
 */
export function holesOf({ view, clock, living }: UpkeepSources, region: string): VersionVector {
  let holes = VersionVector.EMPTY;
  for (const { context } of view.ahead())
    for (const [actor, counter] of context.entries())
      if (regionOf(actor) === region && !living.has(actor) && clock.vector.counterOf(actor) < counter)
        holes = holes.merge(VersionVector.of([[actor, counter]]));
  return holes;
}

/** What is ahead of the clock and only this region can say to be over: of its own earlier lives, and of removed regions. */
export function allHolesOf(sources: UpkeepSources): VersionVector {
  const { region, membership, clock } = sources;
  let holes = holesOf(sources, region);
  if (!membership.isFirst) return holes;
  for (const removed of membership.removed) {
    const seal = membership.sealOf(removed);
    if (seal !== undefined && !clock.vector.dominates(seal)) holes = holes.merge(seal);
  }
  return holes;
}

/** A life that no list names yet: it came back with what the peers had. Two lives at once must not list each other for ever. */
function hasUnlistedLife({ region, clock, ended }: UpkeepSources): boolean {
  const listed = ended.endedOf(region);
  return livesOf(region, clock.vector).some(([actor]) => actor !== clock.lineage.actor && !listed.has(actor));
}

/** The list with these lives as well; undefined when it names them all already. */
function listOf(region: string, ended: EndedEpochs, more: Iterable<readonly [ActorId, number]>): Change | undefined {
  const known = ended.endedOf(region);
  const news = [...more].filter(([actor, counter]) => counter > (known.get(actor) ?? 0));
  const lives = [...ended.listed(region), ...news.map(([actor, counter]) => ({ actor, counter, by: undefined }))];
  if (lives.length > ENDED_EPOCHS_MAX) throw vectorFull();
  return news.length > 0
    ? { key: epochsKey(region), value: encodeEndedEpochs(region, lives), when: 'differs' }
    : undefined;
}

function vectorFull(): Failure {
  return new Failure(
    'FAILED_PRECONDITION',
    `the version vector has its ${VersionVector.ENTRIES_MAX} entries: remove regions that are gone, connect the others`,
    { reason: 'VECTOR_FULL' },
  );
}
