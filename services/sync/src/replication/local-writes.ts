import { type Dot, regionOf, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import type { Version } from '@meridian/replica';
import { Commit, type WritesOrigin } from './commit.ts';
import { entryBytes } from './dotted-causal-container.ts';
import { groupOf } from './group-records.ts';
import { GROUP_BYTES_MAX, planWrites } from './plan-writes.ts';
import type { Input } from './protocol.ts';
import { type RegionState, withDot } from './region-state.ts';
import { earlierLives, memberChange, requireRoomForLife } from './upkeep.ts';
import type { WriteWork } from './work-queue.ts';

/** Id of what the machine writes by itself: nobody waits for an answer. */
export const OWN = 0;

/** Groups that one delta may hold: the first of them waits for the log once more, not longer. */
const GROUPS_MAX = 2;

/** Durable, and not pushed yet. */
interface Held {
  readonly from: VersionVector;
  readonly to: VersionVector;
  readonly keys: ReadonlySet<string>;
  /** By every one of the writes. */
  readonly seen: VersionVector | undefined;
  readonly bytes: number;
  readonly writes: readonly number[];
  readonly groups: number;
}

/**
 * Writes of this region: from the caller's wish to the delta that the others get.
 *
 * 1. Between the clocks of a delta lie own events only: what waits to be pushed is pushed before anything else moves the
 *    clock.
 */
export class LocalWrites {
  readonly #state: RegionState;
  #held: Held | undefined;

  constructor(state: RegionState) {
    this.#state = state;
  }

  take(work: WriteWork): void {
    const why = this.#refuses();
    if (why !== undefined) this.#state.outputs.push({ kind: 'refused', id: work.id, failure: why });
    else if (!this.#state.queue.push(work)) {
      const failure = new Failure('RESOURCE_EXHAUSTED', 'too many writes wait for the state log', {
        reason: 'STATE_LOG_BUSY',
      });
      this.#state.outputs.push({ kind: 'refused', id: work.id, failure });
    }
  }

  takeMember({ id, region, action, author, cause }: Extract<Input, { kind: 'member' }>): void {
    try {
      const change = memberChange(this.#state.sources, region, action);
      const given = { ...change, ...(author !== undefined && { author }) };
      this.take({ kind: 'write', id, change: given, ...(cause && { cause }) });
    } catch (error) {
      this.#state.outputs.push({ kind: 'refused', id, failure: Failure.from(error) });
    }
  }

  #refuses(): Failure | undefined {
    const { region, isRemoved, isRecovering } = this.#state;
    if (isRemoved)
      return new Failure('FAILED_PRECONDITION', `region ${region} has been removed: add it again from another one`, {
        reason: 'REGION_REMOVED',
      });
    if (!isRecovering) return undefined;
    const message = `region ${region} lost its state and gets it back from the others: try again`;
    return new Failure('UNAVAILABLE', message, { reason: 'RECOVERING', retryDelayMs: 1_000 });
  }

  /** All writes at the front of the queue. */
  decide(): void {
    const { sources, region, view, ended, queue, clock, vector, hlc, random } = this.#state;
    const isFirst = clock.lineage.actor === undefined;
    const plan = planWrites(queue, {
      view,
      clock,
      timestamp: () => hlc.tick(),
      newEpoch: () => random.bigint64(),
      inward: (given) => ended.inward(given),
      first: () => {
        const change = earlierLives(sources);
        return change && { kind: 'write', id: OWN, change };
      },
      requireRoom: () => requireRoomForLife(sources),
    });
    for (const { id, failure } of plan.refused) this.refused(id, failure);
    for (const { id, by } of plan.unchanged) {
      const written = { changed: false, vector: ended.outward(this.#covering(by)) };
      if (id !== OWN) this.#state.outputs.push({ kind: 'written', id, written });
    }
    if (plan.writes.length === 0) return;
    if (isFirst) this.#state.report('epoch-opened', region);
    const appends = plan.writes.map(({ id, entry, dot, cause }) => {
      const group = groupOf(plan.writes, entry, view, vector);
      const record = { key: entry.key, entry: view.stripped(entry, vector), lineage: dot, clock: vector, ...group };
      return this.#state.append(record, cause, id === OWN ? undefined : id);
    });
    this.#state.begin(new Commit({ kind: 'writes', written: plan.writes }, appends));
  }

  refused(id: number, failure: Failure): void {
    if (id !== OWN) this.#state.outputs.push({ kind: 'refused', id, failure });
    if (failure.reason === 'VECTOR_FULL') this.#state.alarm('VECTOR_FULL', this.#state.region, failure.message);
  }

  /** The log has them. */
  wrote(written: WritesOrigin['written'], commit: Commit): void {
    const state = this.#state;
    const { ended, outputs, vector: from } = state;
    for (const { dot } of written) state.moveClock(state.clock.wrote(dot));
    const keys = state.putAll(commit);
    state.moveClock(state.clock.joined(ended.inward(state.vector)));
    const writes = written.map(({ id }) => id).filter((id) => id !== OWN);
    const held = this.#held ?? { from, keys: [], seen: undefined, bytes: 0, writes: [], groups: 0 };
    this.#held = {
      from: held.from,
      to: state.vector,
      keys: new Set([...held.keys, ...keys]),
      seen: written.reduce((all, { seen }) => all?.meet(seen) ?? seen, held.seen),
      bytes: held.bytes + bytesOf(written),
      writes: [...held.writes, ...writes],
      groups: held.groups + 1,
    };
    outputs.push({ kind: 'changed', keys });
    const vector = state.liveVector;
    for (const id of writes) outputs.push({ kind: 'written', id, written: { changed: true, vector } });
  }

  /** A group that is on its way already goes with the one before it, where the two fit into one delta. */
  pushUnlessMoreFollow(): void {
    const origin = this.#state.commit?.origin;
    if (this.#held === undefined) return;
    const { groups, bytes } = this.#held;
    const hasRoom = origin?.kind === 'writes' && bytes + bytesOf(origin.written) <= GROUP_BYTES_MAX;
    if (!hasRoom || groups === GROUPS_MAX) this.push();
  }

  push(): void {
    if (this.#held === undefined) return;
    const { from, to, keys, seen: replaced, writes } = this.#held;
    this.#held = undefined;
    const { region, ended, membership, peers, meta, collected, view, outputs } = this.#state;
    const seen = membership.peers.map((peer) => peers.seenBy(peer));
    const knows = (dot: Dot) => seen.every((vector) => vector?.contains(dot) === true);
    const outward = (vector: VersionVector) => ended.outwardTo(vector, knows);
    const entries = [...keys].map((key) => this.#state.outwardEntry(view.at(key), knows));
    // Who takes a delta asks only whether an own event before it is missing.
    const own = [...from.entries()].filter(([actor]) => regionOf(actor) === region);
    // Of each by itself: one that has seen more of a life than its list says goes with all of it, others rely on the list.
    const contexts = new Set([to, ...[...keys].map((key) => view.at(key).context)]);
    const lists = [...contexts].reduce((all, one) => all.merge(ended.listsFor(one, knows)), VersionVector.EMPTY);
    const delta = {
      generation: meta.generation,
      entries,
      from: outward(VersionVector.of(own)),
      to: outward(to),
      lists,
      forgotten: collected.without(replaced ?? VersionVector.EMPTY),
    };
    outputs.push({ kind: 'publish', delta, writes });
  }

  /** A vector that covers the version: a batch that is not complete yet may have brought it before the clock does. */
  #covering(version: Version | undefined): VersionVector {
    const { vector } = this.#state;
    return version === undefined ? vector : withDot(vector, version.dot.actor, version.dot.counter);
  }
}

function bytesOf(written: WritesOrigin['written']): number {
  return written.reduce((sum, { entry }) => sum + entryBytes(entry), 0);
}
