import type { Mutant } from './mutant.ts';

/** All planted bugs: the fifteen of the reliability reference (§4) first, then our own. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'lazy-counter',
    place: 'services/sync/src/replication',
    find: `    this.#clock = this.#clock.wrote(planned.dot);
`,
    replace: '',
    bug: 'dot reuse after lazy persist: the counter goes on only once an event is durable',
    isQuick: true,
  },
  {
    name: 'restored-epoch',
    place: 'services/sync/src/replication',
    find: 'return new NodeClock({ region, vector, lineage: { actor: undefined, counter: 0 } });',
    replace: `const [actor, counter] = [...vector.entries()].filter(([a]) => regionOf(a) === region).at(-1) ?? [undefined, 0];
    return new NodeClock({ region, vector, lineage: { actor, counter } as Lineage });`,
    bug: 'an old backup is restored and its epoch goes on',
    isQuick: true,
  },
  {
    name: 'wiped-epoch',
    place: 'services/sync/src/replication',
    find: 'lineage.actor ?? actorId(region, newEpoch());',
    replace: 'lineage.actor ?? actorId(region, newEpoch() * 0n + 7n);',
    bug: 'a wiped disk begins its only epoch again',
  },
  {
    name: 'acknowledge-before-persist',
    place: 'services/sync/src/replication',
    find: '  begin(commit: Commit): void {\n',
    replace: `  begin(commit: Commit): void {
    if (commit.origin.kind === 'writes')
      for (const { id } of commit.origin.written)
        if (id > 0) this.outputs.push({ kind: 'written', id, written: { changed: true, vector: this.vector } });
`,
    bug: 'a write is acknowledged when its record is sent',
    isQuick: true,
  },
  {
    name: 'clock-over-gap',
    place: 'services/sync/src/replication',
    find: "this.vector.counterOf(actor) < counter) return 'gap';",
    replace: "this.vector.counterOf(actor) > counter) return 'gap';",
    bug: 'a delta over a gap moves the clock',
    isQuick: true,
  },
  {
    name: 'partial-batch-join',
    place: 'services/sync/src/replication',
    find: 'applied: isLast ? applied : before };',
    replace: 'applied: before.merge(schedule.completeVector ?? before) };',
    bug: "a peer's clock is joined after a page of several",
    isQuick: true,
  },
  {
    name: 'wall-clock-lww',
    place: 'services/sync/src/replication',
    find: `  versions.sort((x, y) => compareDots(x.dot, y.dot));
  return { key: a.key, versions, context: a.context.merge(b.context) };
}

/**
 * The entry after`,
    replace: `  versions.sort((x, y) => y.hlc.wallMs - x.hlc.wallMs);
  return { key: a.key, versions: versions.slice(0, 1), context: a.context.merge(b.context) };
}

/**
 * The entry after`,
    bug: 'of concurrent versions only the latest is kept',
    isQuick: true,
  },
  {
    name: 'vector-without-dots',
    place: 'services/sync/src/replication',
    find: 'const versions = entry.versions.filter(({ dot }) => !seen.contains(dot));',
    replace: 'const versions = seen.dominates(entry.context) ? [] : [...entry.versions];',
    bug: 'a write supersedes all versions or none: vectors without dots',
    isQuick: true,
  },
  {
    name: 'arrival-order',
    place: 'packages/replica/src/entry.ts',
    find: 'comparePrecedence(version, winner) > 0)) winner = version;',
    replace: 'comparePrecedence(version, winner) > 1e300)) winner = version;',
    bug: 'the first version in the list wins',
    isQuick: true,
  },
  {
    name: 'collect-by-age',
    place: 'services/sync/src/replication',
    find: 'witnesses.every((seen) => seen?.contains(dot) === true),',
    replace:
      '[...view.entries()].some((e) => e.versions.some((v) => v.hlc.wallMs > (entry.versions[0]?.hlc.wallMs ?? 0) + 5_000)),',
    bug: 'a deletion is forgotten when it is 5 s old',
  },
  {
    name: 'collect-without-unreachable',
    place: 'services/sync/src/replication',
    find: 'witnesses.every((seen) => seen?.contains(dot) === true),',
    replace: 'witnesses.every((seen) => seen?.contains(dot) !== false),',
    bug: 'a deletion is forgotten though members that were not heard of yet may lack it',
    isQuick: true,
  },
  {
    name: 'delete-without-context',
    place: 'services/sync/src/replication',
    find: 'const seen = change.seen === undefined ? before.context : sources.inward(change.seen);',
    replace:
      'const seen = change.seen === undefined || change.value === undefined ? before.context : sources.inward(change.seen);',
    bug: 'a deletion removes also what its writer had not seen',
    isQuick: true,
  },
  {
    name: 'hlc-not-persisted',
    place: 'services/sync/src/replication',
    find: 'metaSequence: meta?.sequence ?? 0, unreadable, last, isComplete };',
    replace: 'metaSequence: meta?.sequence ?? 0, unreadable, last: TIMESTAMP_ZERO, isComplete };',
    bug: 'the time of a region begins anew with each start',
  },
  {
    name: 'hlc-without-bound',
    place: 'packages/causality/src/hybrid-logical-clock.ts',
    find: `    if (remote.wallMs - this.#nowMs() > this.#driftMaxMs) return 'far-future';
`,
    replace: '',
    bug: 'timestamps of a wrong clock are taken over',
    isQuick: true,
  },
  {
    name: 'late-duplicates-not-fenced',
    place: 'services/sync/src/replication',
    find: 'return this.get(key) ?? { key, versions: [], context: this.#clock };',
    replace: 'return this.get(key) ?? { key, versions: [], context: VersionVector.EMPTY };',
    bug: 'what was deleted and forgotten comes back with a late message',
  },
  {
    name: 'hlc-of-collected-lost',
    place: 'services/sync/src/replication',
    find: 'for (const hlc of [record.last, ...(entry',
    replace: 'for (const hlc of [...(entry',
    bug: 'timestamps of forgotten deletions are given again',
  },
  {
    name: 'far-future-dropped',
    place: 'services/sync/src/replication',
    find: 'const applied = rejected.length > 0 ? before : origin.applied;',
    replace: "const applied = rejected.some(({ reason }) => reason !== 'FAR_FUTURE') ? before : origin.applied;",
    bug: 'a version from the future is dropped in place of held',
    isQuick: true,
  },
  {
    name: 'clock-before-entries',
    place: 'services/sync/src/replication',
    find: 'i === last ? applied : before;',
    replace: 'i === 0 ? applied : before;',
    bug: 'the record with the new clock may be stored before the entries',
  },
  {
    name: 'clock-in-every-record',
    place: 'services/sync/src/replication',
    find: 'i === last ? applied : before;',
    replace: 'i <= last ? applied : before;',
    bug: 'each record of a merge carries the new clock',
  },
  {
    name: 'delta-joins-all',
    place: 'services/sync/src/replication',
    find: 'const own = Array.from(delta.to.entries()).filter(([actor]) => regionOf(actor) === origin);',
    replace: 'const own = Array.from(delta.to.entries());',
    bug: "a delta brings its origin's whole clock",
    isQuick: true,
  },
  {
    name: 'last-page-vector',
    place: 'services/sync/src/replication',
    find: 'if (round.firstVector === undefined) {',
    replace: 'if (round.firstVector === undefined || answer.vector.dominates(round.firstVector)) {',
    bug: 'a round is taken for what the peer had at its last page',
  },
  {
    name: 'whole-range-never',
    place: 'services/sync/src/replication',
    find: 'keys.length === 0 && !seen.dominates(',
    replace: 'keys.length < 0 && !seen.dominates(',
    bug: 'who was away is not told what was deleted and forgotten',
  },
  {
    name: 'torn-log-trusted',
    place: 'services/sync/src/replication',
    find: 'const distrustedUntil = isComplete ? known.distrustedUntil : newest;',
    replace: 'const distrustedUntil = known.distrustedUntil;',
    bug: 'a log with an unreadable record is taken for whole',
  },
  {
    name: 'unreadable-record-stays',
    place: 'services/sync/src/replication',
    find: 'Math.max(readable, this.#unreadable.get(key) ?? 0);',
    replace: 'readable;',
    bug: 'what cannot be read is not replaced',
  },
  {
    name: 'lost-log-serves',
    place: 'services/sync/src/replication',
    find: 'isRecovering = options.hadLog && ',
    replace: 'isRecovering = !options.hadLog && ',
    bug: 'a region that lost its log writes at once',
  },
  {
    name: 'generation-ignored',
    place: 'services/sync/src/replication',
    find: 'generation > state.meta.generation)',
    replace: 'generation > state.meta.generation + 1)',
    bug: 'a region that was removed and added again goes on with its old state',
  },
  {
    name: 'seal-of-each',
    place: 'services/sync/src/replication',
    find: 'for (const voter of voters) seal = ',
    replace: 'for (const voter of voters.slice(0, 1)) seal = ',
    bug: 'a removed region is sealed by what each member itself had of it',
  },
  {
    name: 'context-not-kept',
    place: 'services/sync/src/replication',
    find: 'return { ...entry, context: entry.context.without(clock) };',
    replace: 'return { ...entry, context: VersionVector.EMPTY };',
    bug: 'the log forgets what a key had seen beyond the clock',
    isQuick: true,
  },
  {
    name: 'digest-not-compared',
    place: 'services/sync/src/replication',
    find: 'disagrees(origin, view.digest)',
    replace: "disagrees(origin, '')",
    bug: 'equal clocks are taken for equal states',
  },
  {
    name: 'clones-not-noticed',
    place: 'services/sync/src/replication',
    find: "this.#hasRival(life, firstMs) ? 'cloned' : 'new'",
    replace: "'new'",
    bug: 'two processes of one region are not noticed',
  },
  {
    name: 'page-skips',
    place: 'services/sync/src/replication',
    find: 'return { entries, nextKey: last.key };',
    replace: 'return { entries, nextKey: key };',
    bug: 'the next page begins one key too late',
    isQuick: true,
  },
  {
    name: 'stale-context-ignored',
    place: 'services/sync/src/replication',
    find: 'const seen = change.seen === undefined ? before.context : sources.inward(change.seen);',
    replace: 'const seen = before.context;',
    bug: 'a write supersedes what its writer had not read',
    isQuick: true,
  },
  {
    name: 'version-revived',
    place: 'services/sync/src/replication',
    find: 'if (other !== undefined || !b.context.contains(version.dot)) versions.push(version);',
    replace: 'versions.push(version);',
    bug: 'what a peer knows as superseded stays',
    isQuick: true,
  },
  {
    name: 'removed-still-heard',
    place: 'services/sync/src/replication',
    find: 'member !== undefined && !member.isRemoved && generation',
    replace: 'member !== undefined && generation',
    bug: 'a region that was removed is still listened to',
  },
  {
    name: 'list-over-gap',
    place: 'services/sync/src/replication',
    find: 'const isReadable = hasLives && ',
    replace: 'const isReadable = ',
    bug: 'a list of ended lives is taken in by a delta though the lives are missing',
  },
];
