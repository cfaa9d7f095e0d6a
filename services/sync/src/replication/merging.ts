import { compareTimestamps, type Dot, VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import { Commit, type MergeOrigin } from './commit.ts';
import { planMerge } from './plan-merge.ts';
import type { AlarmReason, Cause } from './protocol.ts';
import type { RegionState, Unstamped } from './region-state.ts';
import type { View } from './view.ts';

/** What peers sent, on its way into the state; what cannot be taken raises an alarm and holds the clock back. */
export class Merging {
  readonly #state: RegionState;
  /** Actors of which two different events claimed one dot: nothing new of them is taken. */
  readonly #quarantined = new Set<string>();
  #isWarnedRemoved = false;

  constructor(state: RegionState) {
    this.#state = state;
  }

  merge(origin: MergeOrigin, wire: readonly Entry[], cause: Cause | undefined): void {
    const state = this.#state;
    const { view, ended, membership, hlc, peers, clock, vector: before } = state;
    const remote = wire.map((entry) => ({ ...entry, context: ended.inward(entry.context) }));
    const { entries, rejected } = planMerge(view, remote, {
      admits: (dot) => membership.admits(dot) && !this.#quarantined.has(dot.actor),
      receives: (t) => hlc.receive(t) !== 'far-future',
      isRepair: origin.isRepair,
      seenOf: (key) => peers.seenOf(key),
    });
    for (const { key, reason } of rejected) this.#rejected(origin.peer, key, reason, remote);
    if (rejected.length > 0 && origin.nextKey !== undefined) peers.scheduleOf(origin.peer)?.taint();
    const applied = rejected.length > 0 ? before : origin.applied;
    if (origin.isRepair && entries.length > 0) state.report('digest-repaired', origin.peer);
    const last = entries.length - 1;
    const records: Unstamped[] = entries.map((entry, i) => {
      const given = i === last ? applied : before;
      return { key: entry.key, entry: view.stripped(entry, given), lineage: clock.lineage, clock: given };
    });
    const collected = forgottenIn(entries, view, origin.forgotten).merge(origin.collected ?? VersionVector.EMPTY);
    const hasForgotten = !state.meta.collected.dominates(collected);
    const meta = hasForgotten ? { ...state.meta, collected: state.meta.collected.merge(collected) } : state.meta;
    // A clock that moves while no entry is new is written by itself.
    if (records.length === 0 && !before.dominates(applied)) records.push(state.metaRecord(meta, applied));
    else if (hasForgotten) records.unshift(state.metaRecord(meta, records.length === 0 ? applied : before));
    const commit = { ...origin, applied };
    if (records.length === 0) this.merged(commit);
    else {
      const appends = records.map((record) => state.append(record, cause));
      state.begin(new Commit(commit, appends));
    }
  }

  /** @param commit what the log has; undefined when nothing was to be written */
  merged({ peer, applied, nextKey, isFromRecovering = false }: MergeOrigin, commit?: Commit): void {
    const state = this.#state;
    const { peers, vector: before } = state;
    state.moveClock(state.clock.joined(applied));
    const keys = commit === undefined ? [] : state.putAll(commit);
    // A list of ended lives that came along may mean more.
    state.moveClock(state.clock.joined(state.ended.inward(state.vector)));
    if (keys.length > 0 || state.vector !== before) state.outputs.push({ kind: 'changed', keys });
    peers.reached(state.vector);
    this.#checkOwnMembership();
    if (nextKey === undefined || state.isWiped) return;
    const next = peers.applied(peer, nextKey, state.now);
    if (next === 'completed') {
      const isAnsweredByAll = peers.unanswered.size === 0;
      if (!isFromRecovering || isAnsweredByAll) state.isRecovering = false;
      // Peers that lost theirs, too, do not bring what is here already: the clock has to cover it.
      if (isAnsweredByAll && state.view.digest !== '') state.owesResync = false;
      peers.reached(state.vector);
      state.report('fetch-completed', peer);
    } else if (next === 'failed') state.report('fetch-failed', peer);
    else if (next !== undefined) state.ask(peer, next);
  }

  #rejected(peer: string, key: string, reason: AlarmReason, remote: readonly Entry[]): void {
    if (reason === 'FAR_FUTURE') this.#state.report('held', peer);
    if (reason === 'DOT_REUSED') this.#quarantine(key, remote);
    this.#state.alarm(reason, peer, key);
  }

  /** Both contents are kept as evidence: ours in the log, the other one where it is. */
  #quarantine(key: string, remote: readonly Entry[]): void {
    const own = this.#state.view.at(key);
    for (const { dot, value } of remote.find((entry) => entry.key === key)?.versions ?? [])
      if (own.versions.some((v) => isSameDot(v.dot, dot) && Buffer.compare(v.value, value) !== 0))
        this.#quarantined.add(dot.actor);
  }

  /** Removed: nothing is served any more. Added again: nothing of before is left. */
  #checkOwnMembership(): void {
    const state = this.#state;
    const generation = state.membership.generationOf(state.region);
    if (state.isRemoved) {
      if (!this.#isWarnedRemoved)
        state.alarm('REMOVED', state.region, 'writes that no other region has seen are left behind');
      this.#isWarnedRemoved = true;
    } else if (generation > state.meta.generation) {
      state.isWiped = true;
      state.outputs.push({ kind: 'wipe', generation });
    }
  }
}

/**
 * Deletions that are here and that the merge takes away, though a peer may have forgotten them or nothing came that can
 * have been written after them. Who has not seen one would not be told by what is left of the entry that something had been
 * deleted.
 */
function forgottenIn(merged: readonly Entry[], view: View, there: VersionVector): VersionVector {
  let forgotten = VersionVector.EMPTY;
  for (const { key, versions } of merged) {
    const before = view.get(key)?.versions ?? [];
    const news = versions.filter(({ dot }) => !before.some((known) => isSameDot(known.dot, dot)));
    for (const { dot, hlc, deleted } of before) {
      const isLeft = versions.some((left) => isSameDot(left.dot, dot));
      const isWrittenOver = !there.contains(dot) && news.some((later) => compareTimestamps(later.hlc, hlc) > 0);
      if (!deleted || isLeft || isWrittenOver) continue;
      forgotten = forgotten.merge(VersionVector.of([[dot.actor, dot.counter]]));
    }
  }
  return forgotten;
}

function isSameDot(a: Dot, b: Dot): boolean {
  return a.actor === b.actor && a.counter === b.counter;
}
