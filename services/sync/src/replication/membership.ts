import { type ActorId, type Dot, regionOf, VersionVector } from '@meridian/causality';
import {
  decodeMember,
  decodeSeal,
  type Entry,
  type Member,
  parseStateKey,
  type Seal,
  winnerOf,
} from '@meridian/replica';

export type MemberState = 'active' | 'removing' | 'removed' | 'unknown';

const JOINED: Member = { isRemoved: false, generation: 0 };

/**
 * Who belongs to the state, by the topology and by what operators decided since; a pure function of the entries.
 *
 * 1. A region of the topology is a member until a record removes it; failure detection never does.
 * 2. A removed region is sealed when every other member has said how far it had seen it, and listens no more: what lies
 *    beyond the furthest of them is not taken over from anybody.
 * 3. A region that is added again has a higher generation; what it says under a lower one is not heard.
 */
export class Membership {
  readonly #topology: ReadonlySet<string>;
  readonly #region: string;
  readonly #members = new Map<string, Member>();
  readonly #seals = new Map<string, Map<string, Seal>>();
  #peers: readonly string[];

  constructor(region: string, members: Iterable<string>) {
    this.#region = region;
    this.#topology = new Set([region, ...members]);
    this.#peers = this.#activePeers();
  }

  /** @returns whether the entry says something about the membership. */
  update(entry: Entry): boolean {
    const key = parseStateKey(entry.key);
    if (key?.kind === 'member') {
      const winner = winnerOf(entry);
      const member = winner === undefined || winner.deleted ? undefined : decodeMember(winner.value);
      if (member === undefined) this.#members.delete(key.region);
      else this.#members.set(key.region, member);
    } else if (key?.kind === 'seal') {
      const seals = this.#seals.get(key.region) ?? new Map<string, Seal>();
      const seal = joinedSeal(key.region, entry);
      if (seal === undefined) seals.delete(key.member);
      else seals.set(key.member, seal);
      this.#seals.set(key.region, seals);
    } else return false;
    this.#peers = this.#activePeers();
    return true;
  }

  /** By name, this region too unless it was removed. */
  get active(): readonly string[] {
    return this.#regions().filter((region) => this.#memberOf(region)?.isRemoved === false);
  }

  /** All other active regions, by name. */
  get peers(): readonly string[] {
    return this.#peers;
  }

  /** All other regions that belong or belonged to it, by name. */
  get others(): readonly string[] {
    return this.#regions().filter((region) => region !== this.#region);
  }

  stateOf(region: string): MemberState {
    const member = this.#memberOf(region);
    if (member === undefined) return 'unknown';
    if (!member.isRemoved) return 'active';
    return this.sealOf(region) === undefined ? 'removing' : 'removed';
  }

  generationOf(region: string): number {
    return this.#memberOf(region)?.generation ?? 0;
  }

  /** Whether what a region says under this generation is heard. */
  hears(region: string, generation: number): boolean {
    const member = this.#memberOf(region);
    return member !== undefined && !member.isRemoved && generation >= member.generation;
  }

  /** Those of whom a deletion must be known before it is dropped: the others, also one that is being removed. */
  get witnesses(): readonly string[] {
    return this.#regions().filter((region) => region !== this.#region && this.stateOf(region) !== 'removed');
  }

  /** Removed regions of which this one has not said how far it had seen them. */
  get unsealedHere(): readonly string[] {
    return this.#regions().filter((region) => {
      const member = this.#memberOf(region);
      return region !== this.#region && member?.isRemoved === true && !this.#hasSealed(region, this.#region);
    });
  }

  /** Whether the life belongs to an earlier membership of its region, which a removal ended. */
  wasSealed(actor: ActorId): boolean {
    const seals = [...(this.#seals.get(regionOf(actor))?.values() ?? [])];
    return seals.some((seal) => namedBy(seal).some(([other]) => other === actor));
  }

  get removed(): readonly string[] {
    return this.#regions().filter((region) => this.stateOf(region) === 'removed');
  }

  /** The last events of a removed region; undefined while not every member has said what it had seen. */
  sealOf(region: string): VersionVector | undefined {
    const voters = [this.#region, ...this.#peers].filter((voter) => voter !== region);
    if (this.#memberOf(region)?.isRemoved !== true || !voters.every((voter) => this.#hasSealed(region, voter)))
      return undefined;
    let seal = VersionVector.EMPTY;
    for (const voter of voters) seal = seal.merge(VersionVector.of(this.#seals.get(region)?.get(voter)?.seen ?? []));
    return seal;
  }

  /** Whether an event may be part of the state, whoever passes it on. */
  admits({ actor, counter }: Dot): boolean {
    const region = regionOf(actor);
    const state = this.stateOf(region);
    return state === 'active' || state === 'removing' || (this.sealOf(region)?.counterOf(actor) ?? 0) >= counter;
  }

  /** Whether an event lies behind the seal of a region that is or was removed: nobody will ever take it over. */
  isVoid({ actor, counter }: Dot): boolean {
    const region = regionOf(actor);
    if (this.stateOf(region) === 'removed') return (this.sealOf(region)?.counterOf(actor) ?? 0) < counter;
    // Seals of before it was added again.
    const former = [...(this.#seals.get(region)?.values() ?? [])].filter(
      ({ generation }) => generation < this.generationOf(region),
    );
    const named = former.flatMap(namedBy).filter(([other]) => other === actor);
    const counters = named.map(([, last]) => last);
    return counters.length > 0 && Math.max(...counters) < counter;
  }

  admitsAll(vector: VersionVector): boolean {
    for (const [actor, counter] of vector.entries()) if (!this.admits({ actor, counter })) return false;
    return true;
  }

  /** Whether this region is the one that writes on behalf of all when each could. */
  get isFirst(): boolean {
    return this.#peers.every((peer) => peer > this.#region);
  }

  #hasSealed(region: string, voter: string): boolean {
    return this.#seals.get(region)?.get(voter)?.generation === this.generationOf(region);
  }

  #memberOf(region: string): Member | undefined {
    return this.#members.get(region) ?? (this.#topology.has(region) ? JOINED : undefined);
  }

  #regions(): string[] {
    return [...new Set([...this.#topology, ...this.#members.keys()])].sort();
  }

  #activePeers(): readonly string[] {
    return this.active.filter((region) => region !== this.#region);
  }
}

/** Two processes of one member may have spoken for it beside each other: it has seen what either had. */
function joinedSeal(region: string, { versions }: Entry): Seal | undefined {
  let joined: Seal | undefined;
  for (const { deleted, value } of versions) {
    const seal = deleted ? undefined : decodeSeal(region, value);
    if (seal === undefined || (joined?.generation ?? 0) > seal.generation) continue;
    const before = joined?.generation === seal.generation ? joined.seen : [];
    const seen = VersionVector.of([...before, ...seal.seen]);
    const unseen = [...(joined?.generation === seal.generation ? joined.unseen : []), ...seal.unseen];
    joined = { generation: seal.generation, seen: [...seen.entries()], unseen };
  }
  return joined;
}

/** Lives with their last counters; 0 for one of which nothing was seen. */
function namedBy({ seen, unseen }: Seal): (readonly [ActorId, number])[] {
  return [...seen, ...unseen.map((actor) => [actor, 0] as const)];
}

/** Actors of the region in a vector. */
export function livesOf(region: string, vector: VersionVector): [ActorId, number][] {
  return [...vector.entries()].filter(([actor]) => regionOf(actor) === region);
}
