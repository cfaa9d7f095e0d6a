import { describe, expect, test } from '@jest/globals';
import { formatTimestamp, parseDot, regionOf, TIMESTAMP_ZERO } from '@meridian/causality';
import { isConflicted, winnerOf } from '@meridian/replica';
import { Cluster, REGIONS } from './cluster.fixture.ts';
import { isSameState } from './dotted-causal-container.ts';

/** Single cases, each of which once was, or could be, wrong; test/simulation has the properties. */
const keys = ['model/a', 'model/b', 'model/c'];

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

describe('epochs', () => {
  const lives = (cluster: Cluster, name: string, which: 'vector' | 'liveVector') =>
    [...cluster.node(name).machine[which].entries()].filter(([actor]) => regionOf(actor) === name).length;

  test('each life that writes has its own, and the ended ones leave the vector that travels', () => {
    const cluster = new Cluster(1);
    cluster.settle();
    for (let i = 0; i < 5; i++) {
      cluster.node('beijing').write('model/a', Buffer.from(`v${i}`));
      cluster.settle();
      cluster.node('beijing').restart(0);
      cluster.settle();
    }
    for (const name of ['beijing', 'shanghai']) {
      const { machine } = cluster.node(name);
      expect(machine.inward(machine.liveVector).toString()).toBe(machine.vector.toString());
    }
    expect([lives(cluster, 'beijing', 'vector'), lives(cluster, 'beijing', 'liveVector')]).toEqual([5, 1]);
    expectConverged(cluster);
  });

  test('100 lives that write while cut off need one place in the vector; none that writes nothing needs any', () => {
    const cluster = new Cluster(2);
    cluster.node('beijing').write('model/a', Buffer.from('v'));
    cluster.settle();
    for (const other of REGIONS.slice(1)) cluster.cut('beijing', other);
    for (let i = 0; i < 100; i++) cluster.node('beijing').restart(0);
    expect(lives(cluster, 'beijing', 'vector')).toBe(1);
    for (let i = 0; i < 100; i++) {
      cluster.node('beijing').write('model/a', Buffer.from(`w${i}`));
      cluster.node('beijing').flush();
      cluster.node('beijing').restart(0);
    }
    expect([lives(cluster, 'beijing', 'vector'), lives(cluster, 'beijing', 'liveVector')]).toEqual([101, 1]);
    cluster.heal();
    cluster.settle();
    expectConverged(cluster);
  });

  test('a log that lost its end is noticed at the first contact', () => {
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
    expect(cluster.alarms).toEqual(expect.arrayContaining(['WENT_BACK']));
    node.write('model/c', Buffer.from('new'));
    cluster.settle();
    expectConverged(cluster);
  });

  test('the write that would need a 65th entry is refused by name', () => {
    const others = Array.from({ length: 64 }, (_, i) => `r${i}`);
    const cluster = new Cluster(4, ['beijing', ...others]);
    for (const other of others) {
      cluster.node(other).write(`model/${other}`, Buffer.from('v'));
      cluster.node(other).flush();
    }
    const node = cluster.node('beijing');
    for (let i = 0; i < 3; i++) {
      cluster.advance(10_000);
      for (let turn = 0; turn < 200_000 && cluster.messages.length > 0; turn++) cluster.deliver(0, 'once');
      node.flush();
    }
    expect(node.machine.vector.size).toBe(64);
    const change = { key: 'model/a', value: Buffer.from('one more'), when: 'differs' } as const;
    const outputs = node.machine.step([{ kind: 'write', id: 1, change }], { wallMs: 0, monotonicMs: 0 });
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
  for (const output of shanghai.machine.step([{ kind: 'write', id: 1, change }], {
    wallMs,
    monotonicMs: cluster.nowMs,
  }))
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
