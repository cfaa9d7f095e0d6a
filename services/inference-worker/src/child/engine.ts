import { create, toBinary } from '@bufbuild/protobuf';
import { RecognitionSchema } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { LoadedModel, Recognition } from '@meridian/recognition';
import { encodeFrame, encodeRecognized, FRAME_KINDS, type Frame, type LoadOrder, readRun } from './protocol.ts';

/**
 * The child's work: models by number, pictures in the order in which they came.
 *
 * 1. Decoding starts when a picture arrives, on libvips' threads, so that it overlaps the inference of the one before.
 * 2. Inference and answers keep the order of arrival: the oldest unanswered picture is the one that is being worked on,
 *    which is how the parent knows whom to blame for a hang.
 * 3. No picture and no model can make it throw: what goes wrong is answered.
 */
export interface EngineOptions {
  readonly open: (order: LoadOrder) => Promise<LoadedModel>;
  readonly send: (frame: Buffer) => void;
  /** Told of errors that say nothing to the parent. */
  readonly log: (error: unknown) => void;
}

export class Engine {
  readonly #o: EngineOptions;
  readonly #models = new Map<number, Promise<LoadedModel>>();
  /** Settles when everything that came before is answered. Never rejected. */
  #tail: Promise<void> = Promise.resolve();

  constructor(options: EngineOptions) {
    this.#o = options;
  }

  /** @throws Failure DATA_LOSS / FRAME_INVALID for what the parent cannot have sent. */
  receive(frame: Frame): void {
    switch (frame.kind) {
      case FRAME_KINDS.load:
        this.#load(frame.id, JSON.parse(frame.payload.toString()) as LoadOrder);
        break;
      case FRAME_KINDS.unload:
        this.#unload(frame.id);
        break;
      case FRAME_KINDS.run:
        this.#run(frame);
        break;
      default:
        throw new Failure('DATA_LOSS', `unknown frame kind ${frame.kind}`, { reason: 'FRAME_INVALID' });
    }
  }

  #load(number: number, order: LoadOrder): void {
    const loading = this.#o.open(order);
    this.#models.set(number, loading);
    loading.then(
      () => this.#o.send(encodeFrame(FRAME_KINDS.loaded, number)),
      (thrown) => {
        this.#models.delete(number);
        this.#o.send(encodeFrame(FRAME_KINDS.notLoaded, number, this.#notice(thrown)));
      },
    );
  }

  #unload(number: number): void {
    const model = this.#models.get(number);
    this.#models.delete(number);
    // After everything that came before: one of those may be in it.
    if (model !== undefined) this.#tail = this.#tail.then(async () => (await model).close()).catch(() => undefined);
  }

  #run(frame: Frame): void {
    const { model: number, picture } = readRun(frame.payload);
    const model = this.#models.get(number);
    const decoded = this.#decode(model, picture);
    // A decode that fails early must not count as unhandled before its turn comes.
    decoded.catch(() => undefined);
    this.#tail = this.#tail.then(async () => {
      try {
        const { loaded, picture: input } = await decoded;
        const { recognition, inferenceMs } = await loaded.infer(input);
        this.#o.send(encodeRecognized(frame.id, input.decodeMs, inferenceMs, encodeRecognition(recognition)));
      } catch (thrown) {
        this.#o.send(encodeFrame(FRAME_KINDS.failed, frame.id, this.#notice(thrown)));
      }
    });
  }

  async #decode(model: Promise<LoadedModel> | undefined, bytes: Uint8Array) {
    if (model === undefined) throw new Failure('INTERNAL', 'the model is not loaded', { retryable: true });
    const loaded = await model;
    return { loaded, picture: await loaded.decode(bytes) };
  }

  /** What may leave the child: the failure's own words; of an unknown error only that it happened. */
  #notice(thrown: unknown): string {
    if (!(thrown instanceof Failure)) this.#o.log(thrown);
    const { code, reason, message, retryable } = Failure.from(thrown);
    return JSON.stringify({ code, reason, message, retryable });
  }
}

function encodeRecognition(recognition: Recognition): Uint8Array {
  const objects = recognition.objects.map((object) => ({ ...object, keypoints: [...(object.keypoints ?? [])] }));
  return toBinary(RecognitionSchema, create(RecognitionSchema, { ...recognition, objects }));
}
