import { describe, expect, test } from '@jest/globals';
import { STREAMS } from '@meridian/contracts';
import { readPubAck } from './durable-publish.ts';
import { parseAckSubject } from './jetstream-api.ts';
import { streamConfig, streamSubject } from './nats-admin.ts';
import { brokerIdentityProblem } from './nats-dial.ts';
import { blockReader } from './nats-message.ts';

describe('parseAckSubject', () => {
  const info = { deliveryCount: 2, streamSequence: 17, consumerSequence: 20, pending: 3 };

  test('reads the form of 2.9 and the later one with domain and account', () => {
    expect(parseAckSubject('$JS.ACK.TASKS.c.2.17.20.1700000000000000000.3')).toEqual(info);
    expect(parseAckSubject('$JS.ACK.beijing.ACCHASH.TASKS.c.2.17.20.1700000000000000000.3')).toEqual(info);
    expect(parseAckSubject('$JS.ACK._.ACCHASH.TASKS.c.2.17.20.1700000000000000000.3.abc')).toEqual(info);
  });

  test.each(['', 'x', '$JS.ACK', '$JS.ACK.TASKS.c.a.b.c.d.e', '$JS.API.TASKS.c.2.17.20.1.3'])('%p is none', (text) => {
    expect(parseAckSubject(text)).toBeUndefined();
  });
});

describe('readPubAck', () => {
  const refusal = (err_code: number, description: string) => ({ error: { code: 400, err_code, description } });

  test.each([
    [refusal(10071, 'wrong last sequence: 12'), 'ABORTED', 'WRONG_SEQUENCE'],
    [refusal(10077, 'maximum bytes exceeded'), 'RESOURCE_EXHAUSTED', 'STREAM_FULL'],
    [refusal(10077, 'maximum messages exceeded'), 'RESOURCE_EXHAUSTED', 'STREAM_FULL'],
    [refusal(10077, 'write: no space left on device'), 'UNAVAILABLE', 'NO_PUBACK'],
    [refusal(10023, 'insufficient resources'), 'RESOURCE_EXHAUSTED', 'STREAM_FULL'],
    [refusal(10054, 'message size exceeds maximum allowed'), 'INVALID_ARGUMENT', 'MESSAGE_TOO_LARGE'],
    [refusal(10999, 'new'), 'UNAVAILABLE', 'NO_PUBACK'],
    [{}, 'UNAVAILABLE', 'NO_PUBACK'],
    [{ stream: 'S', seq: '1' }, 'UNAVAILABLE', 'NO_PUBACK'],
    [null, 'UNAVAILABLE', 'NO_PUBACK'],
  ])('%j is %s / %s', (answer, code, reason) => {
    expect(() => readPubAck(answer, 's')).toThrow(expect.objectContaining({ code, reason }));
  });

  test('a receipt', () => {
    expect(readPubAck({ stream: 'S', domain: 'd', seq: 4, duplicate: true }, 's')).toEqual({
      stream: 'S',
      domain: 'd',
      seq: 4,
      duplicate: true,
    });
  });
});

test('stream configurations capture the own region only, and follow the table', () => {
  expect(streamSubject('task', 'beijing')).toBe('meridian.beijing.task.*.*');
  expect(streamSubject('state', 'beijing')).toBe('meridian.beijing.state.*');
  for (const row of STREAMS) {
    const config = streamConfig(row, 'beijing');
    expect(config.max_bytes).toBe(row.bytesMax);
    expect(config.duplicate_window).toBe(row.duplicateWindowMs * 1e6);
    expect(config.deny_purge).toBe(row.name === 'AUDIT');
  }
});

test('only a broker of the own region is believed', () => {
  const names = (uri: string) => `DNS:meridian, DNS:localhost, IP Address:127.0.0.1, URI:${uri}`;
  expect(brokerIdentityProblem(names('spiffe://meridian/beijing/broker/1'), 'beijing')).toBeUndefined();
  for (const uri of [
    'spiffe://meridian/beijing/worker/1',
    'spiffe://meridian/shanghai/broker/1',
    'spiffe://other/beijing/broker/1',
    'spiffe://meridian/beijing/brokerx/1',
  ])
    expect(brokerIdentityProblem(names(uri), 'beijing')).toBeInstanceOf(Error);
  expect(brokerIdentityProblem('', 'beijing')).toBeInstanceOf(Error);
});

test('a header block of a stored message; the first value counts', () => {
  const header = blockReader(Buffer.from('NATS/1.0\r\nce-id: a:b\r\nce-id: c\r\nx:\r\nbroken\r\n\r\n'));
  expect(header('ce-id')).toBe('a:b');
  expect(header('x')).toBe('');
  expect(header('broken')).toBe('');
});
