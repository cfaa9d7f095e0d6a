import { createHash } from 'node:crypto';
import { Failure } from '@meridian/failure';
import { z } from 'zod';
import { GOLDEN_PICTURES_MAX, goldenPicture } from './golden.ts';

/**
 * What Meridian must know of an ONNX model to serve it. One YAML or JSON file per model; unknown fields are refused,
 * so a misspelt threshold cannot pass unnoticed. `docs/models.md` explains each field with examples.
 */
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'expected sha256: and 64 lower-case hexadecimal digits');
const triple = z.tuple([z.number(), z.number(), z.number()]);
const tensorName = z.string().min(1).max(256);
const fraction = z.number().min(0).max(1);

/** How a picture becomes the input tensor [1, …]. value = (channel · scale − mean) ÷ std, channel in 0 … 255. */
export const inputSchema = z.strictObject({
  name: tensorName,
  width: z.int().min(8).max(4096),
  height: z.int().min(8).max(4096),
  /**
   * letterbox: keep the aspect ratio, pad right and bottom with black · stretch: fill ·
   * crop: shorter side to `shorterSide`, then the centre `width` × `height` (the ImageNet preset: 256, then 224).
   */
  fit: z.enum(['letterbox', 'stretch', 'crop']),
  shorterSide: z.int().min(8).max(4096).optional(),
  layout: z.enum(['NHWC', 'NCHW']),
  type: z.enum(['uint8', 'float32']),
  channels: z.enum(['RGB', 'BGR', 'GREY']).default('RGB'),
  scale: z.number().positive().default(1),
  mean: triple.default([0, 0, 0]),
  std: triple.default([1, 1, 1]),
});

const part = z.strictObject({
  /** File name within the model's folder or archive; informative, the digest is what identifies it. */
  file: z.string().regex(/^[\w.-]{1,128}$/),
  digest,
  bytes: z
    .int()
    .positive()
    .max(4 * 2 ** 30),
  input: inputSchema,
});

const limits = { scoreThreshold: fraction.default(0.3), limit: z.int().min(1).max(1000).default(100) };
const nonMaximumSuppression = { iouThreshold: fraction.default(0.45) };

/** How output tensors become objects. One entry per `kind`; boxes come out as fractions of the picture. */
export const decoderSchema = z.discriminatedUnion('kind', [
  /** One score per label. `activation: softmax` when the graph ends in logits. */
  z.strictObject({
    kind: z.literal('classifier'),
    output: tensorName,
    activation: z.enum(['none', 'softmax', 'sigmoid']),
    topK: z.int().min(1).max(1000).default(5),
    ...limits,
  }),
  /** Rows [n, ≥ 6]: x0 y0 x1 y1 score class, in input pixels (CenterNet's converted tail, YOLO end-to-end). */
  z.strictObject({ kind: z.literal('rows'), output: tensorName, ...limits, ...nonMaximumSuppression }),
  /** Separate tensors, as torchvision, TF object detection and SSD exports have them. */
  z.strictObject({
    kind: z.literal('boxes'),
    boxes: tensorName,
    scores: tensorName,
    classes: tensorName.optional(),
    boxFormat: z.enum(['x0y0x1y1', 'y0x0y1x1', 'cxcywh']),
    boxUnit: z.enum(['pixel', 'fraction']),
    firstClass: z.int().min(0).max(1).default(0),
    ...limits,
    ...nonMaximumSuppression,
  }),
  /** YOLOv8-style [1, 4 + classes, n]: cx cy w h in input pixels, then one score per class. */
  z.strictObject({ kind: z.literal('yolo'), output: tensorName, ...limits, ...nonMaximumSuppression }),
  /** BlazeFace 256: 16×16×2 then 8×8×6 anchors, box and six key points. */
  z.strictObject({
    kind: z.literal('blazeface'),
    boxes: tensorName,
    scores: tensorName,
    ...limits,
    ...nonMaximumSuppression,
  }),
  /** PP-OCR: `parts.detection` finds lines (DB), `parts.recognition` reads each (CTC over `labels`). */
  z.strictObject({
    kind: z.literal('ppocr'),
    binaryThreshold: fraction.default(0.3),
    boxThreshold: fraction.default(0.6),
    unclipRatio: z.number().min(1).max(4).default(1.5),
    linesMax: z.int().min(1).max(500).default(100),
    ...limits,
  }),
]);

export const manifestSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'expected 1–63 of a–z, 0–9 and inner hyphens'),
  description: z.string().max(500).default(''),
  licence: z.string().min(1).max(200),
  source: z.string().min(1).max(500),
  task: z.enum(['detection', 'classification', 'face-detection', 'text']),
  /** `model` for all tasks but text, which has `detection` and `recognition`. */
  parts: z.strictObject({ model: part.optional(), detection: part.optional(), recognition: part.optional() }),
  decoder: decoderSchema,
  /** Label of class i. For text: the recognition alphabet, one entry per CTC class after the blank. */
  labels: z.array(z.string().max(200)).max(100_000),
  /** Processing time of one picture on the reference worker, until measured. Milliseconds. */
  expectedServiceMs: z.number().positive().max(60_000).default(50),
  /** A picture still in the model after this long has hung. Milliseconds. */
  timeoutMs: z.int().min(100).max(120_000).default(10_000),
  /** Pictures with known answers: a worker that gets another answer does not serve the model. */
  golden: z.array(goldenPicture).max(GOLDEN_PICTURES_MAX).optional(),
});

export type Manifest = z.output<typeof manifestSchema>;
export type InputSpec = z.output<typeof inputSchema>;
export type DecoderSpec = z.output<typeof decoderSchema>;
export type ModelPart = z.output<typeof part>;

/** @throws Failure INVALID_ARGUMENT / MANIFEST_INVALID naming every field that is wrong. Not retryable. */
export function parseManifest(value: unknown): Manifest {
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'manifest'}: ${issue.message}`);
    throw new Failure('INVALID_ARGUMENT', `the manifest is not valid: ${problems.join('; ')}`, {
      reason: 'MANIFEST_INVALID',
    });
  }
  requireParts(parsed.data);
  requireLabels(parsed.data);
  return parsed.data;
}

/** A file that a manifest names by its digest. */
export interface ManifestBlob {
  readonly file: string;
  readonly digest: string;
  readonly bytes: number;
}

/** Everything that a region must have to run the model: the weights of its parts and its golden pictures, once each. */
export function blobsOf(manifest: Manifest): readonly ManifestBlob[] {
  const blobs = new Map<string, ManifestBlob>();
  const parts = Object.values(manifest.parts).filter((one) => one !== undefined);
  for (const { file, digest: name, bytes } of [...parts, ...(manifest.golden ?? [])])
    if (!blobs.has(name)) blobs.set(name, { file, digest: name, bytes });
  return [...blobs.values()];
}

/**
 * The identity of a model version: sha256 over its canonical manifest, which names the digests of all weights.
 * A changed label, threshold or weight is another model version.
 */
export function modelDigest(manifest: Manifest): string {
  return `sha256:${createHash('sha256').update(canonicalJson(manifest)).digest('hex')}`;
}

/** JSON with sorted keys and no spaces (the subset of RFC 8785 that manifests need). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`;
}

/** A golden picture must be answerable: text models label every line `text`, the others have their own labels. */
function requireLabels({ golden = [], decoder, labels }: Manifest): void {
  const known = new Set(decoder.kind === 'ppocr' ? ['text'] : labels);
  for (const [i, { expect }] of golden.entries()) {
    const unknown = expect.find(({ label }) => !known.has(label));
    if (unknown === undefined) continue;
    const message = `the manifest is not valid: golden.${i}: the model has no label ${JSON.stringify(unknown.label)}`;
    throw new Failure('INVALID_ARGUMENT', message, { reason: 'MANIFEST_INVALID' });
  }
}

function requireParts(manifest: Manifest): void {
  const needed = manifest.decoder.kind === 'ppocr' ? ['detection', 'recognition'] : ['model'];
  const present = Object.keys(manifest.parts).sort();
  if (present.join() === [...needed].sort().join()) return;
  const message = `the manifest is not valid: parts: decoder ${manifest.decoder.kind} needs ${needed.join(' and ')}, found ${present.join(', ') || 'none'}`;
  throw new Failure('INVALID_ARGUMENT', message, { reason: 'MANIFEST_INVALID' });
}
