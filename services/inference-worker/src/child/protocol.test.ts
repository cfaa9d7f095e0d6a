import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  encodeFrame,
  encodeRecognized,
  FRAME_KINDS,
  type Frame,
  type FrameKind,
  FrameReader,
  PAYLOAD_BYTES_MAX,
  readRecognized,
  readRun,
  runHeader,
} from './protocol.ts';

/** Cuts bytes at the given places, and reuses one buffer for all pieces, as the child's socket does. */
function feed(reader: FrameReader, bytes: Buffer, cuts: readonly number[]): void {
  const reused = Buffer.alloc(bytes.length);
  const places = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  let at = 0;
  for (const place of places) {
    const size = bytes.copy(reused, 0, at, place);
    reader.push(reused.subarray(0, size));
    reused.fill(0xff);
    at = place;
  }
}

const frame = fc.record({
  kind: fc.constantFrom<FrameKind>(...Object.values(FRAME_KINDS)),
  id: fc.nat(2 ** 32 - 1),
  payload: fc.uint8Array({ maxLength: 300 }),
});

describe('frames', () => {
  test('whatever the chunks, the frames come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 12 }), fc.array(fc.nat(4000), { maxLength: 40 }), (frames, cuts) => {
        const seen: Frame[] = [];
        const reader = new FrameReader((next) => seen.push(next));
        feed(reader, Buffer.concat(frames.map(({ kind, id, payload }) => encodeFrame(kind, id, payload))), cuts);
        expect(seen.map(({ kind, id, payload }) => ({ kind, id, payload: new Uint8Array(payload) }))).toEqual(
          frames.map(({ kind, id, payload }) => ({ kind, id, payload: new Uint8Array(payload) })),
        );
      }),
    );
  });

  test('a run carries its model and its picture', () => {
    const picture = Buffer.from('not really a picture');
    const seen: Frame[] = [];
    const reader = new FrameReader((next) => seen.push(next));
    reader.push(Buffer.concat([runHeader(7, 3, picture.length), picture]));
    expect(seen[0]).toMatchObject({ kind: FRAME_KINDS.run, id: 7 });
    expect(readRun((seen[0] as Frame).payload)).toEqual({ model: 3, picture });
  });

  test('a recognition carries its times', () => {
    const seen: Frame[] = [];
    new FrameReader((next) => seen.push(next)).push(encodeRecognized(9, 1.5, 20.25, new Uint8Array([1, 2])));
    expect(readRecognized((seen[0] as Frame).payload)).toEqual({
      decodeMs: 1.5,
      inferenceMs: 20.25,
      recognition: Buffer.from([1, 2]),
    });
  });

  test('a frame that is too large is refused before memory is taken for it', () => {
    const header = Buffer.alloc(9);
    header.writeUInt32LE(PAYLOAD_BYTES_MAX + 1, 0);
    expect(() => new FrameReader(() => undefined).push(header)).toThrow(/do not understand/);
  });
});
