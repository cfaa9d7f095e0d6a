import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readAnswer } from './cut-answer.ts';
import { encodeMessage, type Message, MessageReader } from './messages.ts';

const BODY_MAX = 1000;

test('messages come out as they went in, however the bytes are chunked', () => {
  const message = fc.record({ text: fc.dictionary(fc.string(), fc.string()), body: fc.uint8Array({ maxLength: 300 }) });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), fc.array(fc.integer({ min: 1, max: 50 })), (messages, sizes) => {
      const read: Message[] = [];
      const reader = new MessageReader((one) => read.push(one), BODY_MAX);
      const all = Buffer.concat(messages.flatMap(({ text, body }) => encodeMessage(text, [body])));
      for (let at = 0, i = 0; at < all.length; i++) {
        const size = sizes[i] ?? 17;
        reader.push(all.subarray(at, at + size));
        at += size;
      }
      expect(read.map(({ text, body }) => ({ text, body: [...body] }))).toEqual(
        messages.map(({ text, body }) => ({ text: JSON.parse(JSON.stringify(text)), body: [...body] })),
      );
    }),
    { numRuns: 500 },
  );
});

test('what is too large or no JSON ends the conversation', () => {
  const reader = () => new MessageReader(() => undefined, BODY_MAX);
  const invalid = expect.objectContaining({ reason: 'MESSAGE_INVALID' });
  const large = Buffer.concat(encodeMessage({}, [new Uint8Array(BODY_MAX + 1)]));
  expect(() => reader().push(large)).toThrow(invalid);
  const [header, json] = encodeMessage({ a: 1 }, []);
  const text = Buffer.concat([header ?? Buffer.alloc(0), Buffer.alloc(json?.length ?? 0, 0x7b)]);
  expect(() => reader().push(text)).toThrow(invalid);
});

test('nothing that the process says is believed unchecked', () => {
  const piece = { left: 0, top: 0, width: 8, height: 6, bytes: 4 };
  const good = { residentBytes: 1, picture: { width: 8, height: 6 }, pieces: [piece] };
  const body = Buffer.from('abcd');
  expect(readAnswer({ text: good, body })?.outcome).toMatchObject({ pieces: [{ bytes: body }] });
  for (const text of [
    ...[null, 'x', {}, { ...good, pieces: undefined }, { ...good, picture: { width: 8, height: -1 } }],
    ...[
      { ...good, pieces: [{ ...piece, bytes: 5 }] },
      { ...good, pieces: [{ ...piece, width: 1e9 }] },
    ],
    { residentBytes: 1, failure: { code: 'NO_SUCH_CODE', reason: 'X', message: 'x' } },
  ])
    expect(readAnswer({ text, body })).toBeUndefined();
});
