import { Failure } from '@meridian/failure';

/** What goes over a link: the picture as it came, or the pixels that the model asks for. */
export type PayloadForm = 'original' | 'downscaled-lossless' | 'downscaled-lossy';

export interface PayloadQuestion {
  readonly picture: { readonly bytes: number; readonly pixels: number };
  /** That the model takes of a picture. */
  readonly modelPixels: number;
  /** All round trips of a task together. */
  readonly way: { readonly roundTripMs: number; readonly bandwidthMbps: number };
  /** Until it is downscaled at the origin, ms: what waits there for the same, decoding, scaling and encoding. */
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

/** Smaller pictures are not even looked at: an ordinary photograph has less, and most are such. */
export const DOWNSCALED_BYTES_MIN = 128 * 1024;
/** Below this multiple of the model's pixels a picture is taken as it is: the worker scales it in passing. */
const PIXELS_OVER_MODEL_MIN = 4;
/** Downscaling must save this part of the time on the way: estimates are not better than that. */
const GAIN_MIN = 0.2;
/** Of photographs at the model's size: PNG as sharp writes it, and JPEG at quality 90. Upper ends of what they take. */
const BYTES_PER_PIXEL = { 'downscaled-lossless': 2, 'downscaled-lossy': 0.5 } as const;

/**
 * Downscales at the origin when the picture is much bigger than what the model needs and the link is what makes it late. A
 * lossy form only where the caller allows it. The same rule in two steps without a reason, for those who ask it for every
 * task and region: {@link downscaledBytes}, then {@link isWorthDownscaling}.
 * @throws Failure INVALID_ARGUMENT / PAYLOAD_INPUT_INVALID that names the value. Not retryable.
 */
export function payloadForm(question: PayloadQuestion): PayloadDecision {
  requireQuestion(question);
  const { picture, modelPixels, way, downscaleMs, isLossyAllowed } = question;
  const form = isLossyAllowed ? 'downscaled-lossy' : 'downscaled-lossless';
  const bytes = downscaledBytes(picture.bytes, picture.pixels, modelPixels, form);
  const keep = (reason: string): PayloadDecision => ({
    form: 'original',
    bytes: picture.bytes,
    savedMs: 0,
    reason: `original: ${reason}`,
  });
  if (bytes === 0) return keep(whyNever(question, form));
  const savedMs = savedOf(picture.bytes, bytes, downscaleMs, way.bandwidthMbps);
  if (!isWorthDownscaling(picture.bytes, bytes, downscaleMs, way.roundTripMs, way.bandwidthMbps))
    return keep(`downscaling takes ${tenth(downscaleMs)} ms of the ${tenth(savedMs + downscaleMs)} ms it saves`);
  const reason = `${form}: ${bytes} B in place of ${picture.bytes}, ${tenth(savedMs)} ms sooner`;
  return { form, bytes, savedMs, reason };
}

/** Of a picture when it is downscaled, as expected; 0 where it never is, whatever the link. */
export function downscaledBytes(
  bytes: number,
  pixels: number,
  modelPixels: number,
  form: Exclude<PayloadForm, 'original'>,
): number {
  if (bytes < DOWNSCALED_BYTES_MIN || pixels < PIXELS_OVER_MODEL_MIN * modelPixels) return 0;
  const downscaled = Math.ceil(modelPixels * BYTES_PER_PIXEL[form]);
  return downscaled < bytes ? downscaled : 0;
}

/** Whether the link makes it worth while. Allocates nothing. @param downscaled bytes by {@link downscaledBytes}, over 0 */
export function isWorthDownscaling(
  bytes: number,
  downscaled: number,
  downscaleMs: number,
  roundTripMs: number,
  bandwidthMbps: number,
): boolean {
  const savedMs = savedOf(bytes, downscaled, downscaleMs, bandwidthMbps);
  return savedMs > 0 && savedMs >= GAIN_MIN * (roundTripMs + transferMs(bytes, bandwidthMbps));
}

function savedOf(bytes: number, downscaled: number, downscaleMs: number, bandwidthMbps: number): number {
  return transferMs(bytes - downscaled, bandwidthMbps) - downscaleMs;
}

function transferMs(bytes: number, bandwidthMbps: number): number {
  return (bytes * 8) / (bandwidthMbps * 1_000);
}

function whyNever({ picture, modelPixels }: PayloadQuestion, form: Exclude<PayloadForm, 'original'>): string {
  if (picture.bytes < DOWNSCALED_BYTES_MIN) return `${picture.bytes} B are less than ${DOWNSCALED_BYTES_MIN}`;
  const times = picture.pixels / modelPixels;
  if (times < PIXELS_OVER_MODEL_MIN)
    return `${tenth(times)} times the pixels that the model takes, less than ${PIXELS_OVER_MODEL_MIN}`;
  return `${picture.bytes} B are not more than ${Math.ceil(modelPixels * BYTES_PER_PIXEL[form])} B ${form}`;
}

function requireQuestion({ picture, modelPixels, way, downscaleMs }: PayloadQuestion): void {
  within(picture.bytes, 0, 'picture bytes');
  within(picture.pixels, 1, 'picture pixels');
  within(modelPixels, 1, 'model pixels');
  within(downscaleMs, 0, 'downscaling');
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
