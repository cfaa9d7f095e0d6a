import type { InputSpec } from '@meridian/models';
import type { Pixels } from './picture-decoder.ts';

/** What goes into a session: elements and shape, batch of one. */
export interface InputTensor {
  readonly data: Uint8Array | Float32Array;
  readonly dims: readonly number[];
}

/** Pixels as a tensor. Bytes in the order that the decoder gives are passed on without a copy. */
export function tensorOf(pixels: Pixels, input: InputSpec): InputTensor {
  const { width, height, channels, data } = pixels;
  const dims = input.layout === 'NHWC' ? [1, height, width, channels] : [1, channels, height, width];
  if (input.type === 'uint8') {
    if (input.layout === 'NHWC' && input.channels !== 'BGR') return { data, dims };
    return { data: rearranged(pixels, input, new Uint8Array(data.length), BYTES), dims };
  }
  return { data: rearranged(pixels, input, new Float32Array(data.length), valueTables(input)), dims };
}

/** The 256 possible values of each channel of the tensor: one look-up a sample in place of three operations. */
export function valueTables(input: InputSpec): readonly Float32Array[] {
  return [0, 1, 2].map((channel) =>
    Float32Array.from(
      { length: 256 },
      (_, level) => (level * input.scale - (input.mean[channel] ?? 0)) / (input.std[channel] ?? 1),
    ),
  );
}

const identity = Float32Array.from({ length: 256 }, (_, level) => level);
const BYTES: readonly Float32Array[] = [identity, identity, identity];

function rearranged<T extends Uint8Array | Float32Array>(
  pixels: Pixels,
  input: InputSpec,
  target: T,
  tables: readonly Float32Array[],
): T {
  const { data, channels } = pixels;
  const area = pixels.width * pixels.height;
  for (let channel = 0; channel < channels; channel += 1) {
    const table = tables[channel] ?? identity;
    const source = input.channels === 'BGR' ? channels - 1 - channel : channel;
    const start = input.layout === 'NCHW' ? channel * area : channel;
    const step = input.layout === 'NCHW' ? 1 : channels;
    for (let i = 0, from = source, to = start; i < area; i += 1, from += channels, to += step) {
      target[to] = table[data[from] ?? 0] ?? 0;
    }
  }
  return target;
}
