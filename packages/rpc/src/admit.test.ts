import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RecognitionService } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { createClient } from './index.ts';
import { addPartial, type Loopback, openLoopback } from './loopback.fixture.ts';

/** Goal: a call that is refused by its headers is refused by them alone. Method: bodies that nobody could read. */
let loopback: Loopback;
let port: number;
const seen: string[] = [];
let handled = 0;

beforeAll(async () => {
  loopback = await openLoopback();
  const server = await loopback.server();
  const answer = async () => {
    handled++;
    return {};
  };
  addPartial(
    server,
    RecognitionService,
    { recognize: answer, submitJob: answer },
    { '*': ['client'] },
    (method, context) => {
      seen.push(`${context.peer.role} ${method} ${context.metadata.get('place') ?? ''}`);
      if (context.metadata.get('place') === 'elsewhere')
        throw new Failure('FAILED_PRECONDITION', 'not here', { reason: 'NOT_HERE', details: { regions: 'there' } });
    },
  );
  port = await server.listen('127.0.0.1:0');
});
afterAll(() => loopback.close());

/** Sends bytes that are no message. @returns the status code */
async function sendGarbage(place: string): Promise<number> {
  const { ca, cert, key } = await loopback.identity('client');
  const secure = credentials.createSsl(ca, key, cert);
  const client = new Client(`127.0.0.1:${port}`, secure, { 'grpc.ssl_target_name_override': 'meridian' });
  const same = (bytes: Buffer) => bytes;
  const metadata = new Metadata();
  metadata.set('place', place);
  return new Promise<number>((resolve) => {
    const path = '/meridian.recognition.v1.RecognitionService/Recognize';
    client.makeUnaryRequest(path, same, same, Buffer.from('no message'), metadata, {}, (error) =>
      resolve(error?.code ?? 0),
    );
  }).finally(() => client.close());
}

test('a refused call is refused before its message is looked at; the others are read', async () => {
  expect(await sendGarbage('elsewhere')).toBe(9);
  expect(await sendGarbage('here')).toBe(3);
  expect(handled).toBe(0);
});

test('it sees method, peer and metadata, and its failure comes whole; a stream is refused before it has begun', async () => {
  const client = createClient(RecognitionService, await loopback.channel(port));
  seen.length = 0;
  await client.recognize({}, { metadata: { place: 'here' } });
  async function* nothing(): AsyncGenerator<never> {
    await new Promise(() => undefined);
  }
  const refused = client.submitJob(nothing(), { metadata: { place: 'elsewhere' } });
  await expect(refused).rejects.toMatchObject({ reason: 'NOT_HERE', details: { regions: 'there' } });
  expect(seen).toEqual(['client recognize here', 'client submitJob elsewhere']);
  expect(handled).toBe(1);
});

test('a role that may not call is refused first', async () => {
  seen.length = 0;
  const client = createClient(RecognitionService, await loopback.channel(port, 'worker'));
  await expect(client.recognize({})).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(seen).toEqual([]);
});
