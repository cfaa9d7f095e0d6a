import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { actorId } from '@meridian/causality';
import { type AwaitRecordsResponse, AwaitRecordsResponseSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { createLogger, VirtualClock } from '@meridian/runtime';
import { RecordRequests } from './record-requests.ts';

/** Goal: the sync service is asked once for what many claims lack, for as long as the last of them waits. */
const record = (counter: number) => ({ key: 'model/a', dot: { actor: actorId('beijing', 1n), counter } });

function bench() {
  const clock = new VirtualClock();
  const asked: { text: string; answer: PromiseWithResolvers<AwaitRecordsResponse> }[] = [];
  const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
  const awaitRecords = (request: { records?: { dot?: string }[]; fromRegion?: string; timeoutMs?: number }) => {
    const answer = Promise.withResolvers<AwaitRecordsResponse>();
    const dots = request.records?.map(({ dot = '' }) => dot.split('=')[1]).join();
    asked.push({ text: `${request.fromRegion} ${dots} ${request.timeoutMs}`, answer });
    return answer.promise;
  };
  const requests = new RecordRequests({ client: { awaitRecords }, clock, logger });
  const reply = async (i: number, ...missing: string[]) => {
    const records = missing.map((dot) => ({ key: 'model/a', dot }));
    asked[i]?.answer.resolve(create(AwaitRecordsResponseSchema, { missing: records }));
    await clock.advanceAsync(0);
  };
  return { clock, asked, requests, reply, texts: () => asked.map(({ text }) => text) };
}

describe('RecordRequests', () => {
  test('asks once for the same records of the same region, and anew once that is answered', async () => {
    const { requests, reply, texts } = bench();
    for (let i = 0; i < 100; i += 1) requests.fetch([record(7)], 'beijing', 1_000);
    requests.fetch([record(8)], 'beijing', 1_000);
    requests.fetch([record(7)], 'shanghai', 1_000);
    expect(texts()).toEqual(['beijing 7 1000', 'beijing 8 1000', 'shanghai 7 1000']);
    await reply(0);
    requests.fetch([record(7)], 'beijing', 1_000);
    expect(texts()).toHaveLength(4);
  });

  test('goes on for those who came while it was open', async () => {
    const { requests, reply, clock, texts } = bench();
    requests.fetch([record(7)], 'beijing', 1_000);
    await clock.advanceAsync(900);
    requests.fetch([record(7)], 'beijing', 1_000);
    await clock.advanceAsync(100);
    await reply(0, 'x');
    expect(texts()).toEqual(['beijing 7 1000', 'beijing 7 900']);
    await clock.advanceAsync(900);
    await reply(1, 'x');
    expect(texts()).toHaveLength(2);
  });

  test('a sync service that does not answer costs only the haste; the next claim asks again', async () => {
    const { requests, asked, clock, texts } = bench();
    requests.fetch([record(7)], 'beijing', 1_000);
    asked[0]?.answer.reject(new Failure('UNAVAILABLE', 'gone'));
    await clock.advanceAsync(0);
    requests.fetch([record(7)], 'beijing', 1_000);
    expect(texts()).toHaveLength(2);
  });
});
