import { Failure } from '@meridian/failure';
import { type Way, wayMs } from '../plan/problem.ts';

/** What goes over a link: the picture as it came, or the pixels that the model asks for. */
export type PayloadForm = 'original' | 'downscaled-lossless' | 'downscaled-lossy';

export interface PayloadQuestion {
  readonly picture: { readonly bytes: number; readonly width: number; readonly height: number };
  /** Pixels that the model takes. */
  readonly model: { readonly width: number; readonly height: number };
  readonly way: Way;
  /** Of the plan: what a megabyte into the target costs all, ms; 0 while its links have room. */
  readonly megabytePriceMs: number;
  /** What decoding, scaling and encoding it at the origin takes, ms, as measured there. */
  readonly downscaleMs: number;
  /** Whether the caller allows a lossy form. */
  readonly isLossyAllowed: boolean;
}

export interface PayloadDecision {
  readonly form: PayloadForm;
  /** On the link, as expected. */
  readonly bytes: number;
  /** Against the original, ms; 0 for the original. */
  readonly savedMs: number;
  readonly reason: string;
}

/** Below this multiple of the model's pixels a picture is taken as it is: the worker scales it in passing. */
const PIXELS_OVER_MODEL_MIN = 4;
/** Downscaling must save this part of the time on the way: estimates are not better than that. */
const GAIN_MIN = 0.2;
/** Of photographs at the model's size: PNG as sharp writes it, and JPEG at quality 90. Upper ends of what they take. */
const BYTES_PER_PIXEL = { 'downscaled-lossless': 2, 'downscaled-lossy': 0.5 } as const;

/**
 * Downscales at the origin when the picture is much bigger than what the model needs and the link is what makes it late. A
 * lossy form only where the caller allows it.
 * @throws Failure INVALID_ARGUMENT / PAYLOAD_INPUT_INVALID that names the value. Not retryable.
 */
export function payloadForm(question: PayloadQuestion): PayloadDecision {
  requireQuestion(question);
  const { picture, model, downscaleMs, isLossyAllowed } = question;
  const originalMs = timeMs(question, picture.bytes);
  const keep = (reason: string): PayloadDecision => ({ form: 'original', bytes: picture.bytes, savedMs: 0, reason });
  const times = (picture.width * picture.height) / (model.width * model.height);
  if (times < PIXELS_OVER_MODEL_MIN)
    return keep(`original: ${tenth(times)} times the pixels that the model takes, less than ${PIXELS_OVER_MODEL_MIN}`);
  const form = isLossyAllowed ? 'downscaled-lossy' : 'downscaled-lossless';
  const bytes = Math.ceil(model.width * model.height * BYTES_PER_PIXEL[form]);
  if (bytes >= picture.bytes) return keep(`original: ${picture.bytes} B are not more than ${bytes} B ${form}`);
  const savedMs = originalMs - timeMs(question, bytes) - downscaleMs;
  if (savedMs < GAIN_MIN * originalMs)
    return keep(
      `original: downscaling takes ${tenth(downscaleMs)} ms of the ${tenth(savedMs + downscaleMs)} ms it saves`,
    );
  return {
    form,
    bytes,
    savedMs,
    reason: `${form}: ${bytes} B in place of ${picture.bytes}, ${tenth(savedMs)} ms sooner`,
  };
}

/** On the way, with the price of its bytes. */
function timeMs({ way, megabytePriceMs }: PayloadQuestion, bytes: number): number {
  return wayMs(way, bytes) + (megabytePriceMs * bytes) / 1e6;
}

function requireQuestion({ picture, model, way, megabytePriceMs, downscaleMs }: PayloadQuestion): void {
  const numbers = { 'picture bytes': picture.bytes, 'price of a megabyte': megabytePriceMs, downscaling: downscaleMs };
  for (const [what, value] of Object.entries(numbers)) within(value, 0, what);
  const sides = { 'picture width': picture.width, 'picture height': picture.height };
  for (const [what, value] of Object.entries(sides)) within(value, 1, what);
  within(model.width, 1, 'model width');
  within(model.height, 1, 'model height');
  within(way.roundTripMs, 0, 'round trip');
  if (!(way.bandwidthMbps > 0)) throw invalid(`bandwidth: ${way.bandwidthMbps} is not over 0`);
}

function within(value: number, min: number, what: string): void {
  if (!(value >= min && value <= Number.MAX_SAFE_INTEGER)) throw invalid(`${what}: ${value} is below ${min} or absurd`);
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'PAYLOAD_INPUT_INVALID' });
}

function tenth(value: number): number {
  return Number(value.toFixed(1));
}
