import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { RecognizeStreamRequest, SubmitJobRequest } from '@meridian/contracts/recognition';
import { JobState } from '@meridian/contracts/recognition';
import { tenantKey } from '@meridian/replica';
import { type Door, failureOf, picturesOf, resultsOf, soon, submit } from '../support/scheduler-door.ts';
import { aPicture, type RunningScheduler, SchedulerWorld, tenantEntry, until } from '../support/scheduler-world.ts';
import type { ScriptedWorker } from '../support/scripted-worker.ts';

/**
 * Goal: no picture goes where the rules of its tenant and of its call do not allow it, and who asks is told why.
 * Method: brokers in memory, real gRPC with mutual TLS, workers that follow a script; the tenants' records change under
 * what is under way.
 */
let world: SchedulerWorld;
let beijing: RunningScheduler;
let shanghai: RunningScheduler;
let door: Door;
let near: ScriptedWorker;
let far: ScriptedWorker;

beforeEach(async () => {
  world = await SchedulerWorld.open();
  beijing = await world.start('beijing');
  shanghai = await world.start('shanghai');
  door = await world.recognition(beijing);
  near = await world.worker('beijing', 'w1', [beijing]);
  far = await world.worker('shanghai', 'w2', [beijing, shanghai]);
  const regions = await world.regions(beijing);
  await until(async () => (await regions.listRegions({})).regions.every(({ workers }) => workers > 0));
});
afterEach(() => world.close());

const withRule = (residency: string, tenant?: string) => ({
  ...soon,
  metadata: { 'meridian-residency': residency, ...(tenant !== undefined && { 'meridian-tenant': tenant }) },
});
let counter = 10;
function agree(tenant: string, rule: string): void {
  world.tenants.set(tenantKey(tenant), tenantEntry(tenant, rule, ++counter));
}
const told = async (call: Promise<unknown>) => {
  const { code, reason } = await failureOf(call);
  return `${code} ${reason}`;
};

describe('at the headers', () => {
  test('a region outside the rules reads no message, and names those to ask with their doors', async () => {
    let pulled = 0;
    async function* requests() {
      pulled++;
      yield { sequence: 1n, request: { picture: aPicture(1) } };
    }
    const failure = await failureOf(
      (async () => {
        for await (const _ of door.recognizeStream(requests(), withRule('never=region:beijing')))
          throw new Error('answered');
      })(),
    );
    expect(failure).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'RESIDENCY_REGION_NOT_ALLOWED',
      retryable: false,
      details: { region: 'beijing', regions: 'shanghai', addresses: 'shanghai=door-shanghai:1' },
    });
    expect(pulled).toBeLessThanOrEqual(1);
    // A message that would be refused by itself is not even looked at.
    const broken = { picture: new Uint8Array(), tenant: 'Not A Tenant' };
    expect(await told(door.recognize(broken, withRule('only=region:shanghai')))).toBe(
      'FAILED_PRECONDITION RESIDENCY_REGION_NOT_ALLOWED',
    );
  });

  test.each([
    ['recognize', (call: Door, options: object) => call.recognize({ picture: aPicture(1) }, options)],
    [
      'recognizeStream',
      async (call: Door, options: object) => {
        for await (const _ of call.recognizeStream(endless<RecognizeStreamRequest>(), options))
          throw new Error('answered');
      },
    ],
    ['submitJob', (call: Door, options: object) => call.submitJob(endless<SubmitJobRequest>(), options)],
  ])('%s is refused while its caller has sent nothing yet', async (_, call) => {
    agree('acme', 'never=zone:zone-beijing');
    expect(await told(Promise.resolve(call(door, withRule('', 'acme'))))).toBe(
      'FAILED_PRECONDITION RESIDENCY_REGION_NOT_ALLOWED',
    );
    expect(await told(Promise.resolve(call(door, withRule('', 'nobody'))))).toBe('FAILED_PRECONDITION TENANT_UNKNOWN');
    expect(await told(Promise.resolve(call(door, withRule('only=beijing'))))).toBe(
      'INVALID_ARGUMENT RESIDENCY_RULE_INVALID',
    );
    expect(await told(Promise.resolve(call(door, withRule('never=region:atlantis'))))).toBe('NOT_FOUND REGION_UNKNOWN');
    expect(await told(Promise.resolve(call(door, withRule('only=region:beijing;never=region:beijing'))))).toBe(
      'FAILED_PRECONDITION RESIDENCY_INFEASIBLE',
    );
  });
});

/** Says nothing, for ever: a call of it ends only by the other side. */
async function* endless<T>(): AsyncGenerator<T> {
  await new Promise(() => undefined);
}

describe('at the message', () => {
  test('its own rule and tenant hold, too', async () => {
    agree('acme', 'only=region:shanghai');
    const picture = aPicture(1);
    expect(await told(door.recognize({ picture, residency: { regions: ['shanghai'] } }, soon))).toBe(
      'FAILED_PRECONDITION RESIDENCY_REGION_NOT_ALLOWED',
    );
    expect(await told(door.recognize({ picture, tenant: 'acme' }, soon))).toBe(
      'FAILED_PRECONDITION RESIDENCY_REGION_NOT_ALLOWED',
    );
    expect(await told(door.recognize({ picture, tenant: 'nobody' }, soon))).toBe('FAILED_PRECONDITION TENANT_UNKNOWN');
    expect(await told(door.recognize({ picture, tenant: 'public' }, withRule('', 'known')))).toBe(
      'INVALID_ARGUMENT TENANT_DIFFERS',
    );
    expect((await failureOf(submit(door, 'k', 1, { tenant: 'acme' }))).reason).toBe('RESIDENCY_REGION_NOT_ALLOWED');
    expect([near.claims, far.claims]).toEqual([[], []]);
    await door.recognize({ picture, tenant: 'known', residency: { zones: ['zone-beijing'] } }, withRule('', 'known'));
    expect(near.claims.map(({ tenant }) => tenant)).toEqual(['known']);
  });
});

describe('a job', () => {
  test('whose rule came in metadata keeps it over a restart; another rule for the same key is refused', async () => {
    near.answer = () => undefined;
    far.answer = () => undefined;
    const pictures = picturesOf([1, 2, 3, 4]);
    const parts = async function* () {
      const refs = pictures.map(({ name, digest, sizeBytes }) => ({ name, digest, sizeBytes }));
      yield { part: { case: 'header' as const, value: { idempotencyKey: 'k', pictures: refs } } };
      for (const { digest, read } of pictures) {
        yield { part: { case: 'picture' as const, value: { digest } } };
        for await (const value of read()) yield { part: { case: 'chunk' as const, value } };
      }
    };
    const { jobId, accepted } = await door.submitJob(parts(), withRule('never=region:shanghai'));
    expect(accepted).toBe(true);
    expect(await told(door.submitJob(parts(), withRule('never=region:guangzhou')))).toBe('NOT_FOUND REGION_UNKNOWN');
    expect(await told(door.submitJob(parts(), soon))).toBe('ALREADY_EXISTS IDEMPOTENCY_KEY_REUSED');
    await near.kill();
    await beijing.kill();
    beijing = await world.start('beijing');
    far = await world.worker('shanghai', 'w3', [beijing, shanghai]);
    door = await world.recognition(beijing);
    const regions = await world.regions(beijing);
    await until(async () =>
      (await regions.listRegions({})).regions.some(({ name, workers }) => name === 'shanghai' && workers > 0),
    );
    const { decisions } = await regions.explainTask({ taskId: `${jobId}/0` });
    expect(decisions.at(-1)?.candidates.find(({ region }) => region === 'shanghai')?.notAllowed).toBe(
      'the call: never=region:shanghai',
    );
    const again = await world.worker('beijing', 'w4', [beijing]);
    const results = await resultsOf(door, jobId);
    expect(results.map(({ region }) => region)).toEqual(['beijing', 'beijing', 'beijing', 'beijing']);
    expect(again.claims.length).toBeGreaterThanOrEqual(4);
    expect(far.claims).toEqual([]);
  });

  test('waits when its tenant’s rule leaves no region, or its record is gone, and goes on when that changes', async () => {
    agree('acme', '');
    near.answer = () => undefined;
    far.answer = () => undefined;
    const jobId = await submit(door, 'k', 3, { tenant: 'acme' });
    await until(() => far.held + near.held > 0);
    // Also what a worker holds already is taken back.
    world.tenants.delete(tenantKey('acme'));
    const regions = await world.regions(beijing);
    const taskId = `${jobId}/0`;
    const isWaiting = async (index: number) => {
      const explained = await regions.explainTask({ taskId: `${jobId}/${index}` });
      const last = explained.decisions.at(-1);
      return last?.winner === '' && last.candidates.every(({ exclusion }) => exclusion === 'residency');
    };
    for (const index of [0, 1, 2]) await until(() => isWaiting(index));
    near.answer = (self, key) => self.succeed(key);
    far.answer = (self, key) => self.succeed(key);
    const { decisions } = await regions.explainTask({ taskId });
    expect(decisions.at(-1)?.candidates[0]?.notAllowed).toContain('there is no tenant acme here');
    expect((await door.getJob({ jobId, tenant: 'acme' })).job?.state).toBe(JobState.RUNNING);
    const placed = far.claims.length;
    agree('acme', 'never=region:shanghai');
    await until(async () => (await door.getJob({ jobId, tenant: 'acme' })).job?.state === JobState.FINISHED);
    expect(far.claims).toHaveLength(placed);
    const newest = near.claims.at(-1)?.requiredRecords.find(({ key }) => key === 'tenant/acme');
    expect(newest?.dot).toBe(`beijing@0000000000001234=${counter}`);
  });
});

describe('a call', () => {
  test('whose tenant’s rule gets narrower while a far worker has it is taken back and done elsewhere', async () => {
    agree('acme', 'prefer=region:shanghai');
    far.answer = () => undefined;
    const call = door.recognize({ picture: aPicture(1) }, withRule('', 'acme'));
    await until(() => far.pictures.length === 1);
    agree('acme', 'never=region:shanghai');
    const { result } = await call;
    expect(result).toMatchObject({ region: 'beijing', attempts: 2 });
    await until(() => far.verdicts.some(({ kind }) => kind === 'cancel'));
    const regions = await world.regions(beijing);
    const { spans } = await regions.getTrace({ key: { case: 'taskId', value: result?.taskId ?? '' } });
    const ends = spans.filter(({ name }) => name === 'attempt').map(({ attributes }) => attributes['meridian.reason']);
    expect(ends).toEqual(['not-allowed', 'result']);
  });

  test('has a trace that regions hear of which may have it, and no others', async () => {
    agree('acme', 'prefer=region:shanghai');
    const { result } = await door.recognize({ picture: aPicture(1) }, withRule('', 'acme'));
    const asked = await world.regions(shanghai);
    const key = { case: 'taskId', value: result?.taskId ?? '' } as const;
    const spansThere = async () => (await asked.getTrace({ key })).spans.filter(({ region }) => region === 'beijing');
    await until(async () => (await spansThere()).length > 0);
    agree('acme', 'never=region:shanghai');
    expect(await spansThere()).toEqual([]);
    expect((await (await world.regions(beijing)).getTrace({ key })).spans.length).toBeGreaterThan(0);
  });

  test('is refused, with the reason, when the only region that may run it is gone', async () => {
    await near.kill();
    const regions = await world.regions(beijing);
    world.removed.add('beijing');
    expect(await told(door.recognize({ picture: aPicture(1) }, withRule('only=region:beijing')))).toBe(
      'UNAVAILABLE RESIDENCY_UNAVAILABLE',
    );
    expect((await regions.listRegions({})).regions).toHaveLength(2);
    expect(far.claims).toEqual([]);
  });
});
