import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type EntryView, MemberAction, type WatchKeysResponse } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { decodeTenant, encodeTenant, parseRule } from '@meridian/residency';
import { openDoor } from './door.fixture.ts';
import { REGIONS, Regions, type RunningRegion, until } from './region.fixture.ts';

/**
 * Goal: what docs/state.md promises of reads, writes, session tokens, watches, conflicts and histories.
 * Method: the service's handlers on the parts of three regions, brokers in memory, links that are cut.
 */
let regions: Regions;
let running: Record<(typeof REGIONS)[number], RunningRegion>;
let doors: Record<(typeof REGIONS)[number], Door>;
type Door = ReturnType<typeof openDoor>;

beforeEach(async () => {
  regions = await Regions.prepare();
  const all = await Promise.all(REGIONS.map((region) => regions.start(region)));
  const [beijing, shanghai, guangzhou] = all as [RunningRegion, RunningRegion, RunningRegion];
  running = { beijing, shanghai, guangzhou };
  doors = { beijing: openDoor(beijing), shanghai: openDoor(shanghai, 'li'), guangzhou: openDoor(guangzhou) };
});

afterEach(async () => {
  for (const door of Object.values(doors)) door.close();
  await regions.stop();
});

const key = 'config/app/greeting';
const failureOf = (promise: Promise<unknown>) => promise.then(() => undefined, Failure.from);
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
const vectors = () => REGIONS.map((region) => running[region].replicator.vector.toString());
const equal = () => new Set(vectors()).size === 1 || vectors().join('\n');

async function show(door: Door, ofKey = key): Promise<EntryView> {
  return (await door.get({ key: ofKey })).entry as EntryView;
}

/** What readers see; undefined when it is absent or deleted. */
async function readersSee(door: Door, token = ''): Promise<string | undefined> {
  const { entry } = await door.get({ key, versionVector: token, waitMs: 0 });
  const winner = entry?.versions[entry.winner ?? -1];
  return winner === undefined || winner.deleted ? undefined : text(winner.value);
}

/** Both write while the link is cut, then it heals. */
async function collide(): Promise<void> {
  regions.cutOff('shanghai');
  await doors.beijing.put({ key, value: 'from beijing' });
  await doors.shanghai.put({ key, value: 'from shanghai' });
  regions.heal();
  await until(equal);
}

describe('keys', () => {
  test('a key is absent, written, overwritten, deleted; the view says who, where and when', async () => {
    const absent = await show(doors.beijing);
    expect(absent).toMatchObject({ key, versions: [], context: '' });
    expect(absent.winner).toBeUndefined();
    expect(await doors.beijing.delete(key)).toMatchObject({ changed: false });
    const { versionVector, changed } = await doors.beijing.put({ key, value: 'hello' });
    expect(changed).toBe(true);
    expect(await doors.beijing.put({ key, value: 'hello' })).toMatchObject({ versionVector, changed: false });
    const written = await show(doors.beijing);
    expect(written).toMatchObject({ winner: 0, conflicted: false, context: versionVector });
    expect(written.versions).toEqual([
      expect.objectContaining({ dot: versionVector, region: 'beijing', author: 'operator/admin', deleted: false }),
    ]);
    expect(Math.abs(Number(written.versions[0]?.unixMs) - Date.now())).toBeLessThan(60_000);
    await doors.beijing.delete(key);
    expect(await show(doors.beijing)).toMatchObject({ winner: 0, versions: [{ deleted: true }] });
    await until(equal);
    expect(await readersSee(doors.guangzhou)).toBeUndefined();
  });

  test('a tenant’s record is written when every region can read it and its rule leaves one', async () => {
    const reasonOf = async (name: string, rule: string, of = name) => {
      const value = Buffer.from(encodeTenant({ name: of, residency: parseRule(rule) })).toString('latin1');
      return (await failureOf(doors.beijing.put({ key: `tenant/${name}`, value }, 'latin1')))?.reason;
    };
    expect(await reasonOf('Acme', '')).toBe('TENANT_INVALID');
    expect(await reasonOf('acme', '', 'other')).toBe('TENANT_RECORD_INVALID');
    expect(await reasonOf('acme', 'never=region:atlantis')).toBe('REGION_UNKNOWN');
    expect(await reasonOf('acme', 'only=region:beijing;never=zone:zone-beijing')).toBe('RESIDENCY_INFEASIBLE');
    const value = Buffer.from(encodeTenant({ name: 'acme', residency: parseRule('never=zone:zone-shanghai') }));
    await doors.beijing.put({ key: 'tenant/acme', value: value.toString('latin1') }, 'latin1');
    await until(equal);
    const [read] = (await show(doors.guangzhou, 'tenant/acme')).versions;
    expect(decodeTenant('acme', read?.value ?? new Uint8Array()).residency).toEqual({
      never: { regions: [], zones: ['zone-shanghai'] },
    });
    expect((await doors.beijing.delete('tenant/acme')).changed).toBe(true);
  });

  test('only configuration keys of good form are written; values are bounded', async () => {
    const reserved = ['model/x', 'ready/beijing/d', 'member/beijing', 'configuration', 'x'];
    for (const wrong of reserved) {
      const refused = { code: 'INVALID_ARGUMENT', reason: 'KEY_RESERVED', retryable: false };
      expect(await failureOf(doors.beijing.put({ key: wrong, value: 'v' }))).toMatchObject(refused);
      expect(await failureOf(doors.beijing.delete(wrong))).toMatchObject(refused);
    }
    for (const wrong of ['config/', 'config/a b', 'config//a', 'config/a/', `config/${'x'.repeat(181)}`])
      expect(await failureOf(doors.beijing.put({ key: wrong, value: 'v' }))).toMatchObject({ reason: 'KEY_INVALID' });
    expect(await failureOf(doors.beijing.put({ key, value: 'v'.repeat(96 * 1024 + 1) }))).toMatchObject({
      reason: 'ENTRY_TOO_LARGE',
    });
    expect(running.beijing.replicator.vector.size).toBe(0);
    await doors.beijing.put({ key, value: 'v'.repeat(96 * 1024) });
  });

  test('a list goes on page by page, in order, without what is deleted', async () => {
    for (const name of ['c', 'a', 'd', 'b', 'e']) await doors.beijing.put({ key: `config/list/${name}`, value: name });
    await doors.beijing.put({ key, value: 'other' });
    await doors.beijing.delete('config/list/d');
    const keys: string[] = [];
    let afterKey = '';
    let pages = 0;
    do {
      const page = await doors.beijing.list({ prefix: 'config/list/', afterKey, limit: 2 });
      keys.push(...page.entries.map((entry) => entry.key));
      afterKey = page.nextKey;
      pages++;
    } while (afterKey !== '');
    expect([keys, pages]).toEqual([['config/list/a', 'config/list/b', 'config/list/c', 'config/list/e'], 2]);
    const all = await doors.beijing.list({ prefix: 'config/list/', withDeleted: true });
    expect(all.entries).toHaveLength(5);
    expect(await failureOf(doors.beijing.list({ limit: 1_001 }))).toMatchObject({ reason: 'LIMIT_INVALID' });
  });

  test('large values make a page end before its limit', async () => {
    for (let i = 0; i < 14; i++) await doors.beijing.put({ key: `config/big/${i}`, value: 'v'.repeat(96 * 1024) });
    const page = await doors.beijing.list({ prefix: 'config/big/' });
    expect(page.entries.length).toBe(10);
    const rest = await doors.beijing.list({ prefix: 'config/big/', afterKey: page.nextKey });
    expect([rest.entries.length, rest.nextKey]).toEqual([4, '']);
  });
});

describe('writes with a context', () => {
  test('supersede what was looked at, and stay beside what was not', async () => {
    await doors.beijing.put({ key, value: 'one' });
    const { context } = await show(doors.beijing);
    await doors.beijing.put({ key, value: 'two' });
    await doors.beijing.put({ key, value: 'three', context });
    const beside = await show(doors.beijing);
    expect(beside.versions.map(({ value }) => text(value)).sort()).toEqual(['three', 'two']);
    expect(beside.conflicted).toBe(true);
    await doors.beijing.put({ key, value: 'four', context: beside.context });
    expect((await show(doors.beijing)).versions.map(({ value }) => text(value))).toEqual(['four']);
  });

  test('a context of another region is waited for, and refused as STALE when it does not come', async () => {
    await doors.beijing.put({ key, value: 'one' });
    await until(equal);
    regions.cutOff('shanghai');
    await doors.beijing.put({ key, value: 'two' });
    const { context } = await show(doors.beijing);
    const late = doors.shanghai.put({ key, value: 'three', context, waitMs: 50 });
    expect(await failureOf(late)).toMatchObject({
      ...{ code: 'FAILED_PRECONDITION', reason: 'STALE', retryable: true, retryDelayMs: 200 },
    });
    const patient = doors.shanghai.put({ key, value: 'three', context, waitMs: 5_000 });
    regions.heal();
    await doors.beijing.put({ key: 'config/other', value: 'shows that something is missing' });
    expect(await patient).toMatchObject({ changed: true });
    expect((await show(doors.shanghai)).versions.map(({ value }) => text(value))).toEqual(['three']);
  });

  test('what is not a vector, or waits too long, is refused', async () => {
    expect(await failureOf(doors.beijing.put({ key, value: 'v', context: 'nonsense' }))).toMatchObject({
      reason: 'VERSION_VECTOR_INVALID',
    });
    expect(await failureOf(doors.beijing.get({ key, versionVector: 'nonsense' }))).toMatchObject({
      reason: 'VERSION_VECTOR_INVALID',
    });
    const { versionVector } = await doors.beijing.put({ key, value: 'v' });
    expect(await failureOf(doors.beijing.get({ key, versionVector, waitMs: 5_001 }))).toMatchObject({
      reason: 'WAIT_INVALID',
    });
  });
});

describe('session tokens', () => {
  test('a client that moves between regions over cuts and heals never reads an older value', async () => {
    // A number that only grows: anything but the newest that the client has seen is a violation.
    let token = '';
    let newest = 0;
    let stale = 0;
    const read = async (door: Door) => {
      const answer = await failureOr(door.get({ key, versionVector: token, waitMs: 0 }));
      if (answer instanceof Failure) {
        expect(answer.reason).toBe('STALE');
        stale++;
        return;
      }
      const winner = answer.entry?.versions[answer.entry.winner ?? -1];
      const value = Number(text(winner?.value) || '0');
      expect(value).toBeGreaterThanOrEqual(newest);
      newest = value;
      token = answer.versionVector;
    };
    for (let round = 1; round <= 30; round++) {
      const cut = round % 3 !== 0;
      if (cut) regions.cutOff('shanghai');
      else regions.heal();
      const writer = round % 2 === 0 || cut ? doors.beijing : doors.shanghai;
      const written = await failureOr(
        writer.put({ key, value: String(newest + 1), versionVector: token, waitMs: 2_000 }),
      );
      if (written instanceof Failure) expect(written.reason).toBe('STALE');
      else {
        newest++;
        token = written.versionVector;
      }
      for (const door of [doors.shanghai, doors.beijing, doors.guangzhou, doors.shanghai]) await read(door);
    }
    expect(stale).toBeGreaterThan(10);
    expect(newest).toBeGreaterThan(20);
    regions.heal();
    await until(equal);
    for (const door of Object.values(doors)) expect(await readersSee(door, token)).toBe(String(newest));
  }, 60_000);

  test('a region that lacks the token answers as soon as it has it', async () => {
    regions.cutOff('guangzhou');
    const { versionVector } = await doors.beijing.put({ key, value: 'new' });
    const answer = doors.guangzhou.get({ key, versionVector, waitMs: 5_000 });
    const listed = doors.guangzhou.list({ prefix: 'config/', versionVector, waitMs: 5_000 });
    regions.heal();
    expect(text((await answer).entry?.versions[0]?.value)).toBe('new');
    expect((await listed).entries).toHaveLength(1);
  });
});

async function failureOr<T>(promise: Promise<T>): Promise<T | Failure> {
  return promise.catch(Failure.from);
}

describe('watches', () => {
  test('begin with what is there, then tell each key whose versions change, and go on from their vector', async () => {
    await doors.beijing.put({ key: 'config/w/a', value: '1' });
    await doors.beijing.put({ key: 'config/v', value: 'not of the prefix' });
    const watch = doors.beijing.watchKeys({ prefix: 'config/w/' });
    const told = async () => {
      const update = (await watch.next()).value as WatchKeysResponse;
      const contents = ({ versions }: EntryView) => versions.map(({ value }) => text(value)).join('|');
      return { ...update, shown: update.entries.map((entry) => `${entry.key}=${contents(entry)}`) };
    };
    const first = await told();
    expect(first).toMatchObject({ shown: ['config/w/a=1'], caughtUp: true });
    await doors.beijing.put({ key: 'config/v', value: 'not told' });
    await doors.shanghai.put({ key: 'config/w/b', value: '2' });
    expect((await told()).shown).toEqual(['config/w/b=2']);
    const { context } = await show(doors.beijing, 'config/w/b');
    await doors.beijing.put({ key: 'config/w/b', value: '3' });
    expect((await told()).shown).toEqual(['config/w/b=3']);
    await doors.beijing.put({ key: 'config/w/b', value: '4', context });
    expect((await told()).shown).toEqual(['config/w/b=3|4']);
    const again = doors.beijing.watchKeys({ prefix: 'config/w/', versionVector: first.versionVector });
    for await (const { entries, caughtUp } of again) {
      expect([entries.map((entry) => entry.key), caughtUp]).toEqual([['config/w/b'], true]);
      break;
    }
  });

  test('a reader that has everything is told so at once', async () => {
    const { versionVector } = await doors.beijing.put({ key, value: '1' });
    for await (const update of doors.beijing.watchKeys({ versionVector })) {
      expect(update).toMatchObject({ entries: [], versionVector, caughtUp: true });
      break;
    }
  });
});

describe('conflicts', () => {
  /** What each region announced: verb, key, values. */
  const announced = (region: string) =>
    regions.broker
      .stream(region, 'EVENTS')
      .allEntries(`meridian.${region}.event.public.conflict.*`)
      .map(({ subject }) => subject.split('.').at(-1));

  test('both regions show the same winner and both values, and announce it; one resolves it for all', async () => {
    await collide();
    const shown = await Promise.all(REGIONS.map((region) => show(doors[region])));
    for (const entry of shown) {
      expect(entry.conflicted).toBe(true);
      expect(entry.versions.map(({ region, author, value }) => [region, author, text(value)])).toEqual([
        ['beijing', 'operator/admin', 'from beijing'],
        ['shanghai', 'operator/li', 'from shanghai'],
      ]);
      expect(entry.winner).toBe(shown[0]?.winner);
    }
    for (const region of REGIONS) {
      expect((await doors[region].conflicts()).entries.map((entry) => entry.key)).toEqual([key]);
      await until(() => announced(region).length === 1 || `${region}: ${announced(region)}`);
    }
    const { versions, context } = shown[0] as EntryView;
    await doors.guangzhou.resolve({ key, context, choice: { case: 'dot', value: versions[0]?.dot ?? '' } });
    await until(equal);
    for (const region of REGIONS) {
      const entry = await show(doors[region]);
      expect([entry.conflicted, entry.versions.map(({ value }) => text(value))]).toEqual([false, ['from beijing']]);
      expect((await doors[region].conflicts()).entries).toEqual([]);
      await until(() => announced(region).length === 2 || `${region}: ${announced(region)}`);
      expect(announced(region)).toEqual(['found', 'resolved']);
    }
  });

  test('it can be resolved by a third value or a deletion, with the context of all that there is', async () => {
    await collide();
    const { versions, context } = await show(doors.beijing);
    const dot = versions[0]?.dot ?? '';
    const byDot = { case: 'dot', value: dot } as const;
    expect(await failureOf(doors.beijing.resolve({ key, context: dot, choice: byDot }))).toMatchObject({
      ...{ code: 'ABORTED', reason: 'CONFLICT_CHANGED', retryable: true },
    });
    expect(await failureOf(doors.beijing.resolve({ key, context, choice: { case: undefined } }))).toMatchObject({
      reason: 'CHOICE_INVALID',
    });
    const unknown = { case: 'dot', value: dot.replace(/=\d+$/, '=9') } as const;
    expect(await failureOf(doors.beijing.resolve({ key, context, choice: unknown }))).toMatchObject({
      reason: 'VERSION_UNKNOWN',
    });
    await doors.beijing.resolve({ key, context, choice: { case: 'value', value: Buffer.from('both') } });
    expect(await readersSee(doors.beijing)).toBe('both');
    const after = await show(doors.beijing);
    expect(await failureOf(doors.beijing.resolve({ key, context, choice: byDot }))).toMatchObject({
      reason: 'CONFLICT_CHANGED',
    });
    expect(await failureOf(doors.beijing.resolve({ key, context: after.context, choice: byDot }))).toMatchObject({
      reason: 'NOT_CONFLICTED',
    });
    await doors.beijing.put({ key, value: 'beside', context });
    const again = await show(doors.beijing);
    await doors.beijing.resolve({ key, context: again.context, choice: { case: 'delete', value: true } });
    expect(await readersSee(doors.beijing)).toBeUndefined();
  });

  test('keys that people may not write are resolved by one of their versions only', async () => {
    const label = 'label/x';
    regions.cutOff('shanghai');
    for (const region of ['beijing', 'shanghai'] as const)
      await running[region].replicator.write(
        { key: label, value: Buffer.from(region), when: 'differs' },
        { timeoutMs: 5_000 },
      );
    regions.heal();
    await until(equal);
    const { versions, context } = await show(doors.beijing, label);
    const other = { case: 'value', value: Buffer.from('x') } as const;
    expect(await failureOf(doors.beijing.resolve({ key: label, context, choice: other }))).toMatchObject({
      reason: 'KEY_RESERVED',
    });
    await doors.beijing.resolve({ key: label, context, choice: { case: 'dot', value: versions[1]?.dot ?? '' } });
    const resolved = await show(doors.beijing, label);
    expect(resolved.versions).toMatchObject([{ author: 'operator/admin', region: 'beijing' }]);
    expect(text(resolved.versions[0]?.value)).toBe('shanghai');
  });

  test('what is open is not announced again by a restart; what ended meanwhile is', async () => {
    await collide();
    await until(() => announced('beijing').length === 1);
    await running.beijing.stop();
    running.beijing = await regions.start('beijing');
    doors.beijing = openDoor(running.beijing);
    const { versions, context } = await show(doors.beijing);
    await doors.beijing.resolve({ key, context, choice: { case: 'dot', value: versions[0]?.dot ?? '' } });
    await until(() => announced('beijing').length === 2);
    expect(announced('beijing')).toEqual(['found', 'resolved']);
  });
});

describe('histories', () => {
  const historyOf = async (door: Door, limit = 0) =>
    (await door.history(key, limit)).items.map(({ version, current }) => {
      const content = version?.deleted ? 'deleted' : text(version?.value);
      return `${content}${current ? ' current' : ''}`;
    });

  test('have the versions that the region saw, newest first, over a restart and without repetitions', async () => {
    for (const value of ['1', '2', '3']) await doors.beijing.put({ key, value });
    await doors.beijing.delete(key);
    const expected = ['deleted current', '3', '2', '1'];
    expect(await historyOf(doors.beijing)).toEqual(expected);
    expect(await historyOf(doors.beijing, 2)).toEqual(['deleted current', '3']);
    const stored = () => regions.broker.stream('beijing', 'HISTORY').state.messages;
    await until(() => stored() === 4);
    await running.beijing.stop();
    running.beijing = await regions.start('beijing');
    doors.beijing = openDoor(running.beijing);
    await doors.beijing.put({ key, value: '4' });
    await until(() => stored() === 5);
    expect(await historyOf(doors.beijing)).toEqual(['4 current', 'deleted', '3', '2', '1']);
    await until(equal);
    await until(async () => (await historyOf(doors.shanghai)).length > 0);
    expect((await historyOf(doors.shanghai))[0]).toBe('4 current');
    expect(await failureOf(doors.beijing.history('model/x'))).toMatchObject({ reason: 'KEY_RESERVED' });
    expect(await failureOf(doors.beijing.history(key, 33))).toMatchObject({ reason: 'LIMIT_INVALID' });
  });

  test('show both sides of a conflict as current, and keep the last 32 versions', async () => {
    await collide();
    expect((await historyOf(doors.guangzhou)).toSorted()).toEqual(['from beijing current', 'from shanghai current']);
    for (let i = 0; i < 40; i++) await doors.beijing.put({ key, value: String(i) });
    await until(
      () => regions.broker.stream('beijing', 'HISTORY').lastOf(`meridian.beijing.history.${key}`)?.sequence === 42,
    );
    const kept = await historyOf(doors.beijing);
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([32, '39 current', '8']);
  });
});

describe('status and members', () => {
  test('the own region is told, again and again; what is not a region or an interval is refused', async () => {
    await doors.beijing.put({ key, value: '1' });
    const vector = running.beijing.replicator.vector.toString();
    expect(await doors.beijing.status()).toMatchObject({
      region: 'beijing',
      regions: expect.arrayContaining([expect.objectContaining({ region: 'beijing', versionVector: vector })]),
    });
    let updates = 0;
    for await (const { status } of doors.beijing.watchStatus(100)) {
      expect(status?.region).toBe('beijing');
      if (++updates === 3) break;
    }
    expect(await failureOf(doors.beijing.watchStatus(99).next())).toMatchObject({ reason: 'INTERVAL_INVALID' });
    for (const region of ['', 'Beijing', 'a.b'])
      expect(await failureOf(doors.beijing.changeMember(region, MemberAction.ADD))).toMatchObject({
        reason: 'REGION_INVALID',
      });
    expect(await failureOf(doors.beijing.changeMember('x', MemberAction.UNSPECIFIED))).toMatchObject({
      reason: 'ACTION_INVALID',
    });
    const { members, versionVector } = await doors.beijing.members();
    expect(members.map(({ region }) => region)).toContain('beijing');
    expect(versionVector).toBe(vector);
  });
});
