import type { DecoderSpec, Manifest, ModelPart } from '@meridian/models';
import type { Placement } from './geometry.ts';
import { tensorOf } from './input-tensor.ts';
import type { CallOptions, DecodedPicture, Inferred, LoadedModel, Recognized } from './loaded-model.ts';
import { requireNotCancelled } from './loaded-model.ts';
import type { ModelSession } from './model-session.ts';
import type { Outputs } from './output-tensor.ts';
import { faceCandidates } from './outputs/blazeface.ts';
import { type Candidate, selectObjects } from './outputs/candidates.ts';
import { decodeClassifier } from './outputs/classifier.ts';
import { boxCandidates, rowCandidates, yoloCandidates } from './outputs/detections.ts';
import type { PictureDecoder } from './picture-decoder.ts';
import type { RecognizedObject } from './recognition.ts';

export interface SingleStageParts {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly part: ModelPart;
  readonly decoder: Exclude<DecoderSpec, { kind: 'ppocr' }>;
  readonly session: ModelSession;
  readonly pictures: PictureDecoder;
  readonly monotonicMs: () => number;
}

/** A model that one run of one graph answers: classifiers and detectors. */
export class SingleStageModel implements LoadedModel {
  readonly name: string;
  readonly digest: string;
  private readonly parts: SingleStageParts;

  constructor(parts: SingleStageParts) {
    this.name = parts.manifest.name;
    this.digest = parts.digest;
    this.parts = parts;
  }

  async decode(picture: Uint8Array, options?: CallOptions): Promise<DecodedPicture> {
    const { pictures, part, monotonicMs } = this.parts;
    const startedMs = monotonicMs();
    requireNotCancelled(options);
    const { picture: size, pixels, placement } = await pictures.fit(picture, part.input);
    const tensor = tensorOf(pixels, part.input);
    return { ...size, placement, tensor, decodeMs: monotonicMs() - startedMs };
  }

  async infer(picture: DecodedPicture, options?: CallOptions): Promise<Inferred> {
    const startedMs = this.parts.monotonicMs();
    requireNotCancelled(options);
    const outputs = await this.parts.session.run(picture.tensor);
    const objects = this.objectsOf(outputs, picture.placement);
    const { width, height } = picture;
    return { recognition: { width, height, objects }, inferenceMs: this.parts.monotonicMs() - startedMs };
  }

  async recognize(picture: Uint8Array, options?: CallOptions): Promise<Recognized> {
    const decoded = await this.decode(picture, options);
    return { ...(await this.infer(decoded, options)), decodeMs: decoded.decodeMs };
  }

  close(): Promise<void> {
    return this.parts.session.close();
  }

  private objectsOf(outputs: Outputs, placement: Placement): RecognizedObject[] {
    const { decoder, manifest } = this.parts;
    if (decoder.kind === 'classifier') return decodeClassifier(outputs, decoder, manifest.labels);
    const { iouThreshold, limit } = decoder;
    return selectObjects(this.candidatesOf(outputs, decoder), {
      iouThreshold,
      limit,
      labels: manifest.labels,
      placement,
    });
  }

  private candidatesOf(
    outputs: Outputs,
    decoder: Exclude<SingleStageParts['decoder'], { kind: 'classifier' }>,
  ): Candidate[] {
    if (decoder.kind === 'rows') return rowCandidates(outputs, decoder);
    if (decoder.kind === 'boxes') return boxCandidates(outputs, decoder, this.parts.part.input);
    if (decoder.kind === 'yolo') return yoloCandidates(outputs, decoder, this.parts.manifest.labels.length);
    return faceCandidates(outputs, decoder);
  }
}
