import { assert } from '@meridian/failure';
import type { DecoderSpec, Manifest, ModelPart } from '@meridian/models';
import { boxWithin } from './geometry.ts';
import { tensorOf } from './input-tensor.ts';
import type { CallOptions, DecodedPicture, Inferred, LoadedModel, Recognized } from './loaded-model.ts';
import { requireNotCancelled } from './loaded-model.ts';
import type { ModelSession } from './model-session.ts';
import { mismatch, type Outputs, type OutputTensor } from './output-tensor.ts';
import { type PictureDecoder, type Pixels, refit } from './picture-decoder.ts';
import type { RecognizedObject } from './recognition.ts';
import { cropLine } from './text/line-crop.ts';
import { detectLines } from './text/line-detection.ts';
import { inReadingOrder } from './text/reading-order.ts';
import { cornersOf, type RotatedRectangle, scaledBy, turnedIfVertical } from './text/rotated-rectangle.ts';
import { transcribe } from './text/transcription.ts';

export interface TextParts {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly decoder: Extract<DecoderSpec, { kind: 'ppocr' }>;
  readonly detection: { readonly part: ModelPart; readonly session: ModelSession };
  readonly recognition: { readonly part: ModelPart; readonly session: ModelSession };
  readonly pictures: PictureDecoder;
  readonly monotonicMs: () => number;
}

/** Lines are cut from the picture at this size at most: 11 MB of pixels, and letters of a full page stay readable. */
const SOURCE_SIDE_MAX = 1920;
/** A box so much higher than wide holds text written downwards (PaddleOCR's value). */
const VERTICAL_RATIO = 1.5;

/** Text: one graph finds lines, another reads each. */
export class TextModel implements LoadedModel {
  readonly name: string;
  readonly digest: string;
  private readonly parts: TextParts;

  constructor(parts: TextParts) {
    this.name = parts.manifest.name;
    this.digest = parts.digest;
    this.parts = parts;
  }

  async decode(picture: Uint8Array, options?: CallOptions): Promise<DecodedPicture> {
    const { pictures, detection, monotonicMs } = this.parts;
    const startedMs = monotonicMs();
    requireNotCancelled(options);
    const { picture: size, pixels: source } = await pictures.whole(picture, SOURCE_SIDE_MAX);
    const { placement, pixels } = await refit(source, detection.part.input);
    const tensor = tensorOf(pixels, detection.part.input);
    return { ...size, placement, tensor, source, decodeMs: monotonicMs() - startedMs };
  }

  async infer(picture: DecodedPicture, options?: CallOptions): Promise<Inferred> {
    const startedMs = this.parts.monotonicMs();
    requireNotCancelled(options);
    const { source } = picture;
    assert(source !== undefined, 'a text model decoded the picture');
    const objects: RecognizedObject[] = [];
    for (const line of await this.linesOf(picture, source)) {
      requireNotCancelled(options);
      const object = await this.read(line, source);
      if (object !== undefined) objects.push(object);
    }
    const { width, height } = picture;
    const recognition = { width, height, objects: inReadingOrder(objects).slice(0, this.parts.decoder.limit) };
    return { recognition, inferenceMs: this.parts.monotonicMs() - startedMs };
  }

  async recognize(picture: Uint8Array, options?: CallOptions): Promise<Recognized> {
    const decoded = await this.decode(picture, options);
    return { ...(await this.infer(decoded, options)), decodeMs: decoded.decodeMs };
  }

  async close(): Promise<void> {
    await Promise.all([this.parts.detection.session.close(), this.parts.recognition.session.close()]);
  }

  /** In pixels of the source. */
  private async linesOf(picture: DecodedPicture, source: Pixels): Promise<RotatedRectangle[]> {
    const map = onlyOutput(await this.parts.detection.session.run(picture.tensor));
    const [height = 0, width = 0] = map.dims.slice(-2);
    const { placement } = picture;
    const factor = { x: source.width / placement.width, y: source.height / placement.height };
    return detectLines({ data: map.data, width, height }, this.parts.decoder).map(({ rectangle }) =>
      scaledBy(rectangle, factor),
    );
  }

  private async read(line: RotatedRectangle, source: Pixels): Promise<RecognizedObject | undefined> {
    const { recognition, manifest, decoder } = this.parts;
    const tensor = cropLine(source, turnedIfVertical(line, VERTICAL_RATIO), recognition.part.input);
    const { text, score } = transcribe(onlyOutput(await recognition.session.run(tensor)), manifest.labels);
    if (text === '' || score < decoder.scoreThreshold) return undefined;
    const corners = cornersOf(line);
    const xs = corners.map(({ x }) => x);
    const ys = corners.map(({ y }) => y);
    const whole = { left: 0, top: 0, width: source.width, height: source.height };
    const box = boxWithin(whole, Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
    if (box === undefined) return undefined;
    const keypoints = corners.map(({ x, y }) => ({ x: x / source.width, y: y / source.height }));
    return { label: 'text', classIndex: 0, score, box, text, keypoints };
  }
}

function onlyOutput(outputs: Outputs): OutputTensor {
  const [output, ...more] = outputs.values();
  if (output === undefined || more.length > 0) {
    throw mismatch(`a text model's part has one output, this one has ${outputs.size}`);
  }
  return output;
}
