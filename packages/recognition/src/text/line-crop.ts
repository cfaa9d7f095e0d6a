import type { InputSpec } from '@meridian/models';
import { type InputTensor, valueTables } from '../input-tensor.ts';
import type { Pixels } from '../picture-decoder.ts';
import type { RotatedRectangle } from './rotated-rectangle.ts';

/** Widths of line tensors come in steps, so that the runtime meets few different shapes. */
const WIDTH_STEP = 8;

/**
 * A line of text, turned level and scaled to the height of the recognition input. As wide as the line needs, at most
 * the input's width (longer lines are squeezed); the rest of the last step holds zeros.
 */
export function cropLine(pixels: Pixels, line: RotatedRectangle, input: InputSpec): InputTensor {
  const { height } = input;
  const natural = Math.max(1, Math.round((line.width / Math.max(1, line.height)) * height));
  const columns = Math.min(natural, input.width);
  const width = Math.min(Math.ceil(columns / WIDTH_STEP) * WIDTH_STEP, input.width);
  const tables = valueTables(input);
  const data = new Float32Array(3 * height * width);
  const sample = new Float64Array(3);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      sampleCell(pixels, line, { column, row, columns, rows: height }, sample);
      for (let channel = 0; channel < 3; channel += 1) {
        const level = sample[input.channels === 'BGR' ? 2 - channel : channel] ?? 0;
        data[(channel * height + row) * width + column] = tables[channel]?.[Math.round(level)] ?? 0;
      }
    }
  }
  return { data, dims: [1, 3, height, width] };
}

/** Mean of n × n bilinear samples of a cell, n being the shrinkage: one sample would alias where text is large. */
function sampleCell(
  pixels: Pixels,
  line: RotatedRectangle,
  cell: { column: number; row: number; columns: number; rows: number },
  result: Float64Array,
): void {
  const samples = Math.min(SAMPLES_MAX, Math.max(1, Math.round(line.height / cell.rows)));
  result.fill(0);
  for (let j = 0; j < samples; j += 1) {
    for (let i = 0; i < samples; i += 1) {
      const u = ((cell.column + (i + 0.5) / samples) / cell.columns - 0.5) * line.width;
      const v = ((cell.row + (j + 0.5) / samples) / cell.rows - 0.5) * line.height;
      const x = line.centre.x + u * line.along.x + v * line.across.x;
      const y = line.centre.y + u * line.along.y + v * line.across.y;
      addBilinear(pixels, x - 0.5, y - 0.5, 1 / (samples * samples), result);
    }
  }
}

/** Bounds the work of a cell: beyond it, large text is still large enough to read. */
const SAMPLES_MAX = 8;

function addBilinear(pixels: Pixels, x: number, y: number, weight: number, result: Float64Array): void {
  const { data, width, height } = pixels;
  const x0 = Math.min(width - 1, Math.max(0, Math.floor(x)));
  const y0 = Math.min(height - 1, Math.max(0, Math.floor(y)));
  const x1 = Math.min(width - 1, x0 + 1);
  const y1 = Math.min(height - 1, y0 + 1);
  const fx = Math.min(1, Math.max(0, x - x0));
  const fy = Math.min(1, Math.max(0, y - y0));
  for (let channel = 0; channel < 3; channel += 1) {
    const top = at(data, (y0 * width + x0) * 3 + channel) * (1 - fx) + at(data, (y0 * width + x1) * 3 + channel) * fx;
    const low = at(data, (y1 * width + x0) * 3 + channel) * (1 - fx) + at(data, (y1 * width + x1) * 3 + channel) * fx;
    result[channel] = (result[channel] ?? 0) + (top * (1 - fy) + low * fy) * weight;
  }
}

function at(data: Uint8Array, index: number): number {
  return data[index] ?? 0;
}
