import { describe, expect, test } from '@jest/globals';
import { ROLES, STREAMS, SUBJECTS, type SubjectRow } from '@meridian/contracts';
import { STREAM_ACCESS } from './jetstream-access.ts';
import { permissionsOf } from './permissions.ts';
import { rows, subjectsOf } from './row.ts';

const REGION = 'shanghai';

/** Whether a pattern with wildcards covers a subject, which may have wildcards too. */
function covers(pattern: string, subject: string): boolean {
  const [expected, actual] = [pattern.split('.'), subject.split('.')];
  for (const [i, token] of expected.entries()) {
    if (token === '>') return actual.length > i;
    if (actual[i] === undefined || actual[i] === '>' || (token !== '*' && token !== actual[i])) return false;
  }
  return expected.length === actual.length;
}

const may = (list: readonly string[], subject: string) => list.some((pattern) => covers(pattern, subject));

describe('permissions', () => {
  test('each role publishes and subscribes exactly what the subject table says', () => {
    for (const role of ROLES) {
      if (role === 'auditor') continue;
      const { publish, subscribe } = permissionsOf(role, REGION);
      for (const row of rows()) {
        expect([role, row.pattern, may(publish, subjectsOf(row, REGION))]).toEqual([
          ...[role, row.pattern, row.publishers.includes(role)],
        ]);
        expect([role, row.pattern, may(subscribe, subjectsOf(row, REGION))]).toEqual([
          ...[role, row.pattern, row.subscribers.includes(role)],
        ]);
      }
    }
  });

  test('no role speaks for another region, or listens to what stays in another region', () => {
    for (const role of ROLES) {
      if (role === 'auditor') continue;
      const { publish, subscribe } = permissionsOf(role, REGION);
      for (const row of rows()) {
        const foreign = subjectsOf(row, 'beijing');
        if (row.pattern.includes('{origin}'))
          expect([role, foreign, may(publish, foreign)]).toEqual([role, foreign, false]);
        if (row.crossing !== 'stream') expect([role, foreign, may(subscribe, foreign)]).toEqual([role, foreign, false]);
      }
    }
  });

  test('no list has a wildcard that reaches beyond the tables', () => {
    for (const role of ROLES) {
      if (role === 'auditor') continue;
      const { publish, subscribe } = permissionsOf(role, REGION);
      for (const subject of [...publish, ...subscribe]) {
        expect(subject).not.toMatch(/^[*>]|^\$JS\.API\.[*>]|^\$SYS/);
        if (!/^(\$JS|_INBOX_|_R_)/.test(subject)) expect(subject).not.toContain('>');
      }
      expect(may(subscribe, '_INBOX_other.x')).toBe(false);
      expect(may(subscribe, '_INBOX.x.y')).toBe(false);
    }
  });

  test('those who read a stream are those of the stream table, and the initializer', () => {
    for (const stream of STREAMS) {
      const roles = ROLES.filter((role) => STREAM_ACCESS[role][stream.name] !== undefined && role !== 'initializer');
      expect([stream.name, [...roles].sort()]).toEqual([stream.name, [...stream.readers].sort()]);
    }
  });

  test('JetStream: consumers, purge and stream changes only where they are needed', () => {
    const publish = Object.fromEntries(ROLES.map((role) => [role, permissionsOf(role, REGION).publish]));
    const rolesThatMay = (subject: string) => ROLES.filter((role) => may(publish[role] ?? [], subject));
    expect(rolesThatMay('$JS.API.CONSUMER.CREATE.TASKS.x.meridian.shanghai.task.normal.m')).toEqual(['worker']);
    expect(rolesThatMay('$JS.API.CONSUMER.CREATE.TASKS.x.meridian.beijing.task.normal.m')).toEqual([]);
    expect(rolesThatMay('$JS.API.CONSUMER.CREATE.TASKS')).toEqual([]);
    expect(rolesThatMay('$JS.API.CONSUMER.CREATE.JOBS.x.meridian.shanghai.job.j.t')).toEqual(['scheduler']);
    expect(rolesThatMay('$JS.API.STREAM.PURGE.JOBS')).toEqual(['scheduler']);
    expect(rolesThatMay('$JS.API.STREAM.MSG.GET.STATE')).toEqual(['sync']);
    for (const { name } of STREAMS) {
      expect(rolesThatMay(`$JS.API.STREAM.CREATE.${name}`)).toEqual(['initializer']);
      expect(rolesThatMay(`$JS.API.STREAM.DELETE.${name}`)).toEqual([]);
      expect(rolesThatMay(`$JS.API.STREAM.UPDATE.${name}`)).toEqual([]);
      expect(rolesThatMay(`$JS.API.STREAM.MSG.DELETE.${name}`)).toEqual([]);
      expect(rolesThatMay(`$JS.API.STREAM.SNAPSHOT.${name}`)).toEqual([]);
      expect(rolesThatMay(`$JS.API.CONSUMER.DELETE.${name}.x`)).toEqual(name === 'TASKS' ? ['scheduler'] : []);
      const purgers: Readonly<Record<string, string[]>> = { JOBS: ['scheduler'], STATE: ['sync'] };
      expect(rolesThatMay(`$JS.API.STREAM.PURGE.${name}`)).toEqual(purgers[name] ?? []);
    }
    expect(ROLES.filter((role) => publish[role]?.some((subject) => subject.startsWith('$JS.ACK')))).toEqual([
      ...['worker', 'consumer'],
    ]);
  });

  test('only those who are asked may answer, and only those who ask', () => {
    const asked: readonly SubjectRow[] = Object.values(SUBJECTS).filter(
      (row: SubjectRow) => row.replyType !== undefined,
    );
    for (const role of ROLES)
      for (const asker of ROLES) {
        const answers = asked.some((row) => row.subscribers.includes(role) && row.publishers.includes(asker));
        expect([role, asker, may(permissionsOf(role, REGION).publish, `_INBOX_${asker}.x.1`)]).toEqual([
          role,
          asker,
          answers,
        ]);
      }
    const acrossRegions = ROLES.filter((role) => may(permissionsOf(role, REGION).publish, '_R_.x'));
    expect(acrossRegions).toEqual(['scheduler', 'sync']);
  });
});
