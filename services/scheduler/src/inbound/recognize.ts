import type { MessageInitShape } from '@bufbuild/protobuf';
import type { VersionVector } from '@meridian/causality';
import type {
  RecognizeRequest,
  RecognizeResponseSchema,
  RecognizeStreamRequest,
  RecognizeStreamResponseSchema,
} from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { type CallContext, Outbox, requireSeen } from '@meridian/rpc';
import { attributeNames } from '@meridian/runtime';
import type { Answer } from '../codec/task-result.ts';
import type { Metrics } from '../metrics.ts';
import type { Calls } from '../owner/calls.ts';
import type { Recognizer } from './recognizer.ts';

export interface RecognizeOptions {
  readonly recognizer: Recognizer;
  readonly calls: Calls;
  readonly metrics: Metrics;
  readonly vector: () => VersionVector;
  readonly hasSeen: (vector: VersionVector) => boolean;
}

type StreamAnswer = MessageInitShape<typeof RecognizeStreamResponseSchema>;

/** As the wire's contract says: unanswered requests of one stream that are read. */
const UNANSWERED_MAX = 64;

/** `Recognize` and `RecognizeStream`. */
export class RecognizeHandlers {
  readonly #o: RecognizeOptions;

  constructor(options: RecognizeOptions) {
    this.#o = options;
  }

  async recognize(
    request: RecognizeRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof RecognizeResponseSchema>> {
    try {
      requireSeen(request.versionVector, this.#o.hasSeen);
      const release = this.#o.calls.admit(request.picture.length);
      const result = await this.#o.recognizer.recognize(request, context, release);
      return { result, versionVector: this.#o.vector().toString() };
    } catch (error) {
      throw this.#counted(error);
    }
  }

  recognizeStream(requests: AsyncIterable<RecognizeStreamRequest>, context: CallContext): AsyncIterable<StreamAnswer> {
    const outbox = new Outbox<StreamAnswer>();
    this.#answerAll(requests, context, outbox).then(
      () => outbox.finish(),
      (error: unknown) => outbox.finish(Failure.from(error)),
    );
    return outbox;
  }

  /** Reads on only while there is room for the answer, for the picture, and below the stream's own limit. */
  async #answerAll(
    requests: AsyncIterable<RecognizeStreamRequest>,
    context: CallContext,
    outbox: Outbox<StreamAnswer>,
  ): Promise<void> {
    const unanswered = new Set<Promise<void>>();
    for await (const { sequence, request } of requests) {
      if (request === undefined)
        throw new Failure('INVALID_ARGUMENT', `request ${sequence}: empty`, { reason: 'REQUEST_INVALID' });
      const release = await this.#o.calls.admitWhenPossible(request.picture.length, context.signal);
      const answered = this.#answer(request, context, release)
        .then((result) => void outbox.push({ sequence, result, versionVector: this.#o.vector().toString() }))
        .catch((error: unknown) => outbox.finish(Failure.from(error)));
      unanswered.add(answered);
      void answered.finally(() => unanswered.delete(answered));
      if (unanswered.size >= UNANSWERED_MAX) await Promise.race(unanswered);
      await outbox.ready();
    }
    await Promise.all(unanswered);
  }

  /** A failure of one request is its answer: the stream goes on. */
  async #answer(request: RecognizeRequest, context: CallContext, release: () => void): Promise<Answer> {
    try {
      requireSeen(request.versionVector, this.#o.hasSeen);
    } catch (error) {
      release();
      return failed(this.#counted(error));
    }
    return this.#o.recognizer
      .recognize(request, context, release)
      .catch((error: unknown) => failed(this.#counted(error)));
  }

  #counted(error: unknown): Failure {
    const failure = Failure.from(error);
    this.#o.metrics.rejected.add(1, { [attributeNames.reason]: failure.reason });
    return failure;
  }
}

function failed({ code, reason, message, retryable }: Failure): Answer {
  return { outcome: { case: 'error', value: { code, reason, message, retryable } } };
}
