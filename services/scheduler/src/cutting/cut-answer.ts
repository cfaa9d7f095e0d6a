import { Failure, isCode } from '@meridian/failure';
import type { CutPicture } from '@meridian/recognition/picture-cutter';
import { z } from 'zod';
import type { Message } from './messages.ts';

export interface CutAnswer {
  readonly outcome: CutPicture | Failure;
  /** Of the process, after its work. */
  readonly residentBytes: number;
}

const pixels = z.int().min(0).max(65_535);
const answer = z.object({
  residentBytes: z.number(),
  picture: z.object({ width: pixels, height: pixels }).optional(),
  pieces: z
    .array(z.object({ left: pixels, top: pixels, width: pixels, height: pixels, bytes: z.int().min(0) }))
    .max(65)
    .optional(),
  failure: z.object({ code: z.string().refine(isCode), reason: z.string(), message: z.string() }).optional(),
});

/** A picture may have taken its process over: nothing that it says is believed unchecked. */
export function readAnswer({ text, body }: Message): CutAnswer | undefined {
  const read = answer.safeParse(text);
  if (!read.success) return undefined;
  const { residentBytes, picture, pieces, failure } = read.data;
  if (failure !== undefined) {
    const { code, reason, message } = failure;
    return { residentBytes, outcome: new Failure(code, message, { reason, retryable: false }) };
  }
  if (picture === undefined || pieces === undefined) return undefined;
  if (pieces.reduce((sum, { bytes }) => sum + bytes, 0) !== body.length) return undefined;
  let at = 0;
  const cut = pieces.map(({ bytes, ...area }) => {
    at += bytes;
    return { area, bytes: body.subarray(at - bytes, at) };
  });
  return { residentBytes, outcome: { picture, pieces: cut } };
}
