import { Failure } from '@meridian/failure';
import { DOWNSCALED_BYTES_MIN, downscaledBytes, payloadForm, TASK_ROUND_TRIPS } from '@meridian/placement';
import type { CutOrder, CutPicture } from '@meridian/recognition/picture-cutter';
import type { ModelEntry } from '@meridian/replica';
import type { Clock, Logger } from '@meridian/runtime';
import { headerSize } from '../codec/picture-header.ts';
import type { Downscaling } from '../placement/choose.ts';
import type { RegionView } from '../placement/region-view.ts';
import type { WorkerResult } from '../tasks/ports.ts';
import type { Task } from '../tasks/task.ts';
import { inputFrameOf } from '../tiling/tiling-wish.ts';
import { shownPixels } from './shown-pixels.ts';

export interface PayloadFormsOptions {
  readonly region: string;
  /** With the ways to them, as measured. */
  readonly regions: ReadonlyMap<string, Pick<RegionView, 'roundTripMs' | 'bandwidthMbps'>>;
  readonly cutter: {
    shrunkInMs(pixels: number): number;
    cut(picture: Uint8Array, order: CutOrder): Promise<CutPicture>;
  };
  readonly modelByDigest: (digest: string) => ModelEntry | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What an attempt was sent in the place of the original. */
export interface SentForm {
  readonly picture: CutPicture['picture'];
  readonly bytes: number;
  /** What making it took, waiting for its turn included. */
  readonly tookMs: number;
}

type Given = Uint8Array | Promise<Uint8Array> | undefined;

const FORM = 'downscaled-lossless';

/**
 * Sends large pictures over slow links in the form that costs the link least. The form loses nothing that the model would
 * have seen, so the answer is the same whichever is sent.
 *
 * 1. A worker's result says of the picture's size what the original has, whichever form the worker was sent.
 * 2. What cannot be shrunk goes as it came: the worker says what is wrong with it.
 * 3. Kept are the forms of pictures that were shrunk and are not ended yet.
 * 4. Placement and sending ask the same rule, `payloadForm`; each with what the cutter has to do at that moment.
 */
export class PayloadForms {
  readonly #o: PayloadFormsOptions;
  /** By task, then by fence: attempts of one task may get different forms. */
  readonly #forms = new Map<string, Map<number, SentForm>>();

  constructor(options: PayloadFormsOptions) {
    this.#o = options;
  }

  /** For placement: what the picture would be on a slow link. undefined when it goes as it came to every region. */
  downscaling({ pictureBytes, picturePixels, work }: Task): Downscaling | undefined {
    if (picturePixels === 0) return undefined;
    const modelPixels = shownPixels(this.#o.modelByDigest(work.modelDigest)?.manifest);
    if (modelPixels === 0) return undefined;
    const bytes = downscaledBytes(pictureBytes, picturePixels, modelPixels, FORM);
    return bytes === 0 ? undefined : { bytes, takesMs: this.#o.cutter.shrunkInMs(picturePixels) };
  }

  /** What is sent to a worker of the region. @param original gives the bytes as they came */
  bytes(task: Task, fence: number, region: string, original: () => Given): Given {
    const given = original();
    if (task.pictureBytes < DOWNSCALED_BYTES_MIN || region === this.#o.region || given === undefined) return given;
    // Before anything is waited for: what ends meanwhile takes it away again.
    const forms = this.#forms.get(task.taskId) ?? new Map<number, SentForm>();
    this.#forms.set(task.taskId, forms);
    const send = (picture: Uint8Array) => {
      const order = this.#order(task, region, picture);
      return order === undefined
        ? picture
        : this.#shrunk(task.taskId, picture, order, (form) => forms.set(fence, form));
    };
    return given instanceof Promise ? given.then(send) : send(given);
  }

  /** The result with the size of the original. */
  corrected(result: WorkerResult): WorkerResult {
    const form = this.sent(result.taskId, result.fence);
    if (form === undefined || result.outcome.kind !== 'recognition') return result;
    const recognition = { ...result.outcome.recognition, ...form.picture };
    return { ...result, outcome: { kind: 'recognition', recognition } };
  }

  /** undefined: the picture went as it came. */
  sent(taskId: string, fence: number): SentForm | undefined {
    return this.#forms.get(taskId)?.get(fence);
  }

  /** No result of the task counts any more. */
  ended(taskId: string): void {
    this.#forms.delete(taskId);
  }

  /** By the bytes themselves: of a picture of a job that an earlier life accepted nothing else is known. */
  #order({ taskId, work }: Task, region: string, picture: Uint8Array): CutOrder | undefined {
    const { cutter, modelByDigest, regions, logger } = this.#o;
    const manifest = modelByDigest(work.modelDigest)?.manifest;
    const [modelPixels, input, way, size] = [
      shownPixels(manifest),
      inputFrameOf(manifest),
      regions.get(region),
      headerSize(picture),
    ];
    if (modelPixels === 0 || input === undefined || way === undefined || size === undefined) return undefined;
    const pixels = size.width * size.height;
    const { form, reason } = payloadForm({
      picture: { bytes: picture.length, pixels },
      modelPixels,
      way: { roundTripMs: TASK_ROUND_TRIPS * way.roundTripMs, bandwidthMbps: way.bandwidthMbps },
      downscaleMs: cutter.shrunkInMs(pixels),
      isLossyAllowed: false,
    });
    logger.debug({ taskId, region, why: reason }, 'form of a picture');
    return form === 'original' ? undefined : { input, tilesMax: 1, overlapShare: 0, lossy: false };
  }

  async #shrunk(
    taskId: string,
    original: Uint8Array,
    order: CutOrder,
    keep: (form: SentForm) => void,
  ): Promise<Uint8Array> {
    const { cutter, clock, logger } = this.#o;
    const beganMs = clock.monotonicMs();
    try {
      const { picture, pieces } = await cutter.cut(original, order);
      const [whole] = pieces;
      if (whole === undefined || whole.bytes.length >= original.length) return original;
      keep({ picture, bytes: whole.bytes.length, tookMs: clock.monotonicMs() - beganMs });
      return whole.bytes;
    } catch (error) {
      logger.debug({ taskId, why: Failure.from(error).reason }, 'a picture is sent as it came');
      return original;
    }
  }
}
