import { Failure } from '@meridian/failure';
import type { CutOrder, CutPicture } from '@meridian/recognition/picture-cutter';
import type { ModelEntry } from '@meridian/replica';
import type { Logger } from '@meridian/runtime';
import type { WorkerResult } from '../tasks/ports.ts';
import type { Task } from '../tasks/task.ts';
import { inputFrameOf } from '../tiling/tiling-wish.ts';
import { isWorthShrinking, SHRINKABLE_BYTES_MIN } from './payload-form.ts';

export interface PayloadFormsOptions {
  readonly region: string;
  /** Usable on the way to a region, as measured; undefined for one that is not known. */
  readonly bandwidthMbps: (region: string) => number | undefined;
  readonly cutter: { readonly waiting: number; cut(picture: Uint8Array, order: CutOrder): Promise<CutPicture> };
  readonly modelByDigest: (digest: string) => ModelEntry | undefined;
  readonly logger: Logger;
}

type Given = Uint8Array | Promise<Uint8Array> | undefined;

/**
 * Sends large pictures over slow links in the form that costs the link least.
 *
 * 1. A worker's result says of the picture's size what the original has, whichever form the worker was sent.
 * 2. What cannot be shrunk goes as it came: the worker says what is wrong with it.
 * 3. Kept are the sizes of pictures that were shrunk and are not ended yet.
 */
export class PayloadForms {
  readonly #o: PayloadFormsOptions;
  /** By task, then by fence: attempts of one task may get different forms. */
  readonly #sizes = new Map<string, Map<number, CutPicture['picture']>>();

  constructor(options: PayloadFormsOptions) {
    this.#o = options;
  }

  /** What is sent to a worker of the region. @param original gives the bytes as they came */
  bytes(task: Task, fence: number, region: string, original: () => Given): Given {
    const order = this.#order(task, region);
    const given = original();
    return order === undefined || given === undefined ? given : this.#shrunk(task.taskId, fence, given, order);
  }

  /** The result with the size of the original. */
  corrected(result: WorkerResult): WorkerResult {
    const size = this.#sizes.get(result.taskId)?.get(result.fence);
    if (size === undefined || result.outcome.kind !== 'recognition') return result;
    const recognition = { ...result.outcome.recognition, ...size };
    return { ...result, outcome: { kind: 'recognition', recognition } };
  }

  /** Some attempt of the task was sent fewer bytes than the picture has. */
  isShrunk(taskId: string): boolean {
    return (this.#sizes.get(taskId)?.size ?? 0) > 0;
  }

  /** No result of the task counts any more. */
  ended(taskId: string): void {
    this.#sizes.delete(taskId);
  }

  #order({ pictureBytes, work }: Task, region: string): CutOrder | undefined {
    if (pictureBytes < SHRINKABLE_BYTES_MIN || region === this.#o.region) return undefined;
    const { cutter, modelByDigest } = this.#o;
    const input = inputFrameOf(modelByDigest(work.modelDigest)?.manifest);
    const bandwidthMbps = this.#o.bandwidthMbps(region);
    if (input === undefined || bandwidthMbps === undefined) return undefined;
    if (!isWorthShrinking({ pictureBytes, input, bandwidthMbps, ahead: cutter.waiting })) return undefined;
    return { input, tilesMax: 1, overlapShare: 0, lossy: false };
  }

  async #shrunk(taskId: string, fence: number, given: Exclude<Given, undefined>, order: CutOrder): Promise<Uint8Array> {
    // Before anything is waited for: what ends meanwhile takes it away again.
    const sizes = this.#sizes.get(taskId) ?? new Map<number, CutPicture['picture']>();
    this.#sizes.set(taskId, sizes);
    const original = await given;
    try {
      const { picture, pieces } = await this.#o.cutter.cut(original, order);
      const [whole] = pieces;
      if (whole === undefined || whole.bytes.length >= original.length) return original;
      sizes.set(fence, picture);
      return whole.bytes;
    } catch (error) {
      this.#o.logger.debug({ taskId, why: Failure.from(error).reason }, 'a picture is sent as it came');
      return original;
    }
  }
}
