import { describe, expect, test } from '@jest/globals';
import { formatTimestamp, parseDot, regionOf, TIMESTAMP_ZERO } from '@meridian/causality';
import { isConflicted, winnerOf } from '@meridian/replica';
import fc from 'fast-check';
import { Cluster, REGIONS } from './cluster.fixture.ts';
import { isSameState } from './dotted-causal-container.ts';

/**
 * Goal: the properties S1, S3–S9, S11, S13, S16 and S17 of the reliability reference, judged by explicit causal histories.
 * Method: random schedules of writes, deliveries, losses, duplicates, cuts, crashes and slow disks; then everything heals.
 */
const keys = ['model/a', 'model/b', 'model/c'];
const region = fc.constantFrom(...REGIONS);
const small = fc.nat(50);

type Step =
  | { readonly kind: 'write'; readonly region: string; readonly key: string; readonly deletes: boolean }
  | { readonly kind: 'deliver'; readonly index: number; readonly how: 'once' | 'twice' | 'never' }
  | { readonly kind: 'store'; readonly region: string; readonly index: number }
  | { readonly kind: 'restart'; readonly region: string; readonly taken: number }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'cut'; readonly a: string; readonly b: string }
  | { readonly kind: 'heal' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      region,
      key: fc.constantFrom(...keys),
      deletes: fc.boolean(),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      index: small,
      how: fc.constantFrom('once' as const, 'once' as const, 'once' as const, 'twice' as const, 'never' as const),
    }),
  },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('store' as const), region, index: small }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), region, taken: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(1, 300, 10_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), a: region, b: region }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'heal' as const }) },
);

function run(cluster: Cluster, steps: readonly Step[]): void {
  for (const [i, s] of steps.entries()) {
    if (s.kind === 'write') cluster.node(s.region).write(s.key, s.deletes ? undefined : Buffer.from(`v${i}`));
    else if (s.kind === 'deliver') cluster.deliver(s.index, s.how);
    else if (s.kind === 'store') cluster.node(s.region).store(s.index);
    else if (s.kind === 'restart') cluster.node(s.region).restart(s.taken);
    else if (s.kind === 'advance') cluster.advance(s.ms);
    else if (s.kind === 'cut' && s.a !== s.b) cluster.cut(s.a, s.b);
    else if (s.kind === 'heal') cluster.heal();
    expectSound(cluster);
  }
}

/** S5: what a clock contains was applied, or is superseded by what was. S3: what was acknowledged is on the disk. */
function expectSound(cluster: Cluster): void {
  for (const node of cluster.nodes.values()) {
    const stored = new Set(cluster.stored.values());
    expect(node.acknowledged.filter((id) => !stored.has(id))).toEqual([]);
    for (const [text, id] of cluster.stored) {
      const dot = parseDot(text);
      if (dot === undefined || !node.machine.vector.contains(dot)) continue;
      const entry = node.machine.view.get(cluster.writes.get(id)?.key ?? '');
      expect(entry?.context.contains(dot)).toBe(true);
    }
  }
}

function expectConverged(cluster: Cluster): void {
  const [first, ...others] = [...cluster.nodes.values()];
  for (const key of keys) {
    const entry = first?.machine.view.get(key);
    expect(cluster.siblings(entry)).toEqual(cluster.expectedSiblings(key));
    for (const node of others) {
      const other = node.machine.view.get(key);
      expect(other === undefined).toBe(entry === undefined);
      if (entry === undefined || other === undefined) continue;
      expect(isSameState(entry, other)).toBe(true);
      expect(winnerOf(other)?.dot).toEqual(winnerOf(entry)?.dot);
    }
  }
  for (const node of others) expect(node.machine.vector.toString()).toBe(first?.machine.vector.toString());
}

describe('random schedules', () => {
  test('no dot twice, sound clocks at every step; after healing every region has exactly what no write superseded', () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(step, { minLength: 20, maxLength: 150 }), (seed, steps) => {
        const cluster = new Cluster(seed);
        run(cluster, steps);
        cluster.heal();
        cluster.settle();
        expectConverged(cluster);
        expect(cluster.alarms).toEqual([]);
      }),
      { numRuns: 250 },
    );
  });

  test('a quiet cluster writes nothing: not by fetching, not by restarting, not by being told what it knows', () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(step, { minLength: 20, maxLength: 80 }), fc.boolean(), (seed, steps, isCut) => {
        const cluster = new Cluster(seed);
        run(cluster, steps);
        cluster.heal();
        cluster.settle();
        const before = [...cluster.nodes.values()].map((node) => [node.appended, node.machine.vector.toString()]);
        if (isCut) for (const other of REGIONS.slice(1)) cluster.cut(REGIONS[0], other);
        for (const node of cluster.nodes.values()) {
          node.restart(0);
          for (const entry of [...node.machine.view.entries()]) {
            const value = winnerOf(entry)?.deleted ? undefined : winnerOf(entry)?.value;
            const when = isConflicted(entry) ? 'absent' : 'differs';
            node.step({ kind: 'write', id: cluster.nextId++, change: { key: entry.key, value, when } });
          }
        }
        cluster.settle();
        expect([...cluster.nodes.values()].map((node) => [node.appended, node.machine.vector.toString()])).toEqual(
          before,
        );
      }),
      { numRuns: 100 },
    );
  });

  test('the same inputs give the same outputs', () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(step, { maxLength: 60 }), (seed, steps) => {
        const trace = () => {
          const cluster = new Cluster(seed);
          run(cluster, steps);
          return [...cluster.nodes.values()].map((node) => [node.machine.vector.toString(), node.appends.length]);
        };
        expect(trace()).toEqual(trace());
      }),
      { numRuns: 30 },
    );
  });
});

describe('epochs', () => {
  const actorsOf = (cluster: Cluster, name: string) =>
    [...cluster.node(name).machine.vector.entries()].filter(([actor]) => regionOf(actor) === name).length;

  test('a region that restarts and is answered by all goes on counting', () => {
    const cluster = new Cluster(1);
    cluster.settle();
    for (let i = 0; i < 5; i++) {
      cluster.node('beijing').write('model/a', Buffer.from(`v${i}`));
      cluster.settle();
      cluster.node('beijing').restart(0);
      cluster.settle();
    }
    expect(actorsOf(cluster, 'beijing')).toBe(1);
  });

  test('a region that was restarted while cut off opens one epoch with its first write, and none without a write', () => {
    const cluster = new Cluster(2);
    cluster.node('beijing').write('model/a', Buffer.from('v'));
    cluster.settle();
    for (const other of REGIONS.slice(1)) cluster.cut('beijing', other);
    for (let i = 0; i < 100; i++) cluster.node('beijing').restart(0);
    expect(actorsOf(cluster, 'beijing')).toBe(1);
    for (let i = 0; i < 10; i++) cluster.node('beijing').write('model/a', Buffer.from(`w${i}`));
    cluster.node('beijing').flush();
    expect(actorsOf(cluster, 'beijing')).toBe(2);
    cluster.heal();
    cluster.settle();
    expectConverged(cluster);
  });

  test('a log that lost its end is noticed at the first contact, and ends the epoch', () => {
    const cluster = new Cluster(3);
    const node = cluster.node('beijing');
    node.write('model/a', Buffer.from('kept'));
    cluster.settle();
    const copy = new Map(node.disk);
    node.write('model/b', Buffer.from('lost'));
    cluster.settle();
    node.disk.clear();
    for (const [key, stored] of copy) node.disk.set(key, stored);
    node.restart(0);
    cluster.settle();
    expect(cluster.alarms).toEqual(expect.arrayContaining(['FORKED']));
    node.write('model/c', Buffer.from('new'));
    cluster.settle();
    expectConverged(cluster);
    expect(actorsOf(cluster, 'beijing')).toBe(2);
  });

  test('the write that would need a 65th entry is refused by name', () => {
    const cluster = new Cluster(4);
    const node = cluster.node('beijing');
    for (const other of REGIONS.slice(1)) cluster.cut('beijing', other);
    for (let i = 0; i < 64; i++) {
      node.restart(0);
      node.write('model/a', Buffer.from(`v${i}`));
      node.flush();
    }
    expect(node.machine.vector.size).toBe(64);
    node.restart(0);
    const change = { key: 'model/a', value: Buffer.from('one more'), when: 'differs' } as const;
    const outputs = node.machine.step({ kind: 'write', id: 1, change }, { wallMs: 0, monotonicMs: 0 });
    expect(outputs).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kind: 'refused', failure: expect.objectContaining({ reason: 'VECTOR_FULL' }) }),
      ]),
    );
  });
});

describe('a process that dies while a batch from a peer is on its way into the log', () => {
  test.each([
    ['nothing', [], 0],
    ['the first', [0], 0],
    ['the last of those that were sent', [1], 0],
    ['two, in another order', [1, 0], 0],
    ['what it had in hand', [], 3],
    ['all but the last', [0, 0], 0],
  ])('the disk took %s', (_, order, taken) => {
    const cluster = new Cluster(7, ['beijing', 'shanghai']);
    cluster.settle();
    cluster.cut('beijing', 'shanghai');
    for (const key of keys) cluster.node('shanghai').write(key, Buffer.from(key));
    cluster.settle();
    cluster.heal();
    const beijing = cluster.node('beijing');
    cluster.advance(60_000);
    while (cluster.messages.length > 0) cluster.deliver(0, 'once');
    expect(beijing.appends).toHaveLength(keys.length - 1);
    for (const index of order) beijing.store(index);
    beijing.restart(taken);
    expectSound(cluster);
    cluster.settle();
    expectConverged(cluster);
  });
});

test('two regions that seed the same value while cut off have one value, not a conflict', () => {
  const cluster = new Cluster(5);
  for (const [i, a] of REGIONS.entries()) for (const b of REGIONS.slice(i + 1)) cluster.cut(a, b);
  for (const node of cluster.nodes.values()) node.write('model/a', Buffer.from('same'));
  cluster.settle();
  cluster.heal();
  cluster.settle();
  expectConverged(cluster);
  const entry = cluster.node('beijing').machine.view.get('model/a');
  expect(entry?.versions).toHaveLength(3);
  expect(entry && isConflicted(entry)).toBe(false);
});

test('a version from the far future is held back and comes again until its time has come', () => {
  const cluster = new Cluster(6, ['beijing', 'shanghai']);
  const shanghai = cluster.node('shanghai');
  const change = { key: 'model/a', value: Buffer.from('early'), when: 'differs' } as const;
  cluster.settle();
  const wallMs = cluster.nowMs + 60_000;
  for (const output of shanghai.machine.step({ kind: 'write', id: 1, change }, { wallMs, monotonicMs: cluster.nowMs }))
    if (output.kind === 'append') shanghai.appends.push(output);
  cluster.writes.set(1, { key: 'model/a', history: new Set() });
  shanghai.flush();
  cluster.advance(10);
  while (cluster.messages.length > 0) cluster.deliver(0, 'once');
  const beijing = cluster.node('beijing');
  expect(beijing.machine.view.get('model/a')).toBeUndefined();
  expect(cluster.alarms).toContain('FAR_FUTURE');
  cluster.advance(61_000);
  cluster.settle();
  expect(beijing.machine.vector.toString()).toBe(shanghai.machine.vector.toString());
  expect(beijing.machine.view.get('model/a')?.versions).toHaveLength(1);
});

test('timestamps of one region rise over a restart, even when the wall clock was set back', () => {
  const cluster = new Cluster(8);
  const node = cluster.node('beijing');
  const latest = () => {
    const entry = node.machine.view.get('model/a');
    return entry === undefined ? '' : formatTimestamp(winnerOf(entry)?.hlc ?? TIMESTAMP_ZERO);
  };
  node.write('model/a', Buffer.from('before'));
  node.flush();
  const before = latest();
  cluster.nowMs -= 3_600_000;
  node.restart(0);
  node.write('model/a', Buffer.from('after'));
  node.flush();
  expect(latest() > before).toBe(true);
  expect(node.machine.view.get('model/a')?.versions).toHaveLength(1);
});
