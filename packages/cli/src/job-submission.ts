import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  Job,
  JobHeaderSchema,
  SubmitJobRequestSchema,
  SubmitJobResponse,
  TaskResult,
  WatchJobResponse,
} from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { backoffMs, type Clock, type Random } from '@meridian/runtime';

/**
 * Submitting a job and watching it, over connections that may be lost at any time.
 *
 * 1. One idempotency key is one job: repeating a submission never makes a second one.
 * 2. After a lost connection the header goes alone; only pictures that the region does not hold are sent again.
 * 3. Each result is yielded once, in the order in which it became final, whatever is lost in between.
 * 4. Retries end: after ATTEMPTS_MAX in a row without any progress the last failure is thrown.
 */
export interface JobDoor {
  /** @throws Failure */
  submit(
    parts: AsyncIterable<SubmitPart>,
    signal?: AbortSignal,
  ): Promise<Pick<SubmitJobResponse, 'jobId' | 'accepted' | 'heldDigests'>>;
  /** Ends after the update that carries the job; sooner only when the connection is lost. @throws Failure */
  watch(
    jobId: string,
    cursor: bigint,
    signal?: AbortSignal,
  ): AsyncIterable<Pick<WatchJobResponse, 'cursor' | 'update'>>;
}

type SubmitPart = MessageInitShape<typeof SubmitJobRequestSchema>;
type JobHeaderInit = Exclude<MessageInitShape<typeof JobHeaderSchema>, { $typeName: string }>;

export interface JobPicture {
  /** For people, comes back with the result; at most 256 bytes. */
  readonly name: string;
  /** sha256, 32 bytes. */
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
  /** The bytes, in pieces of any size; may be read again after a lost connection. */
  read(): AsyncIterable<Uint8Array>;
}

interface RetryPorts {
  readonly door: JobDoor;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborting ends the work with CANCELLED; what was accepted goes on in the region. */
  readonly signal?: AbortSignal | undefined;
  /** A connection was lost, for people. */
  readonly onRetry?: ((failure: Failure, delayMs: number) => void) | undefined;
}

export interface SubmitJobOptions extends RetryPorts {
  /** Everything but the pictures; `idempotencyKey` is required. */
  readonly header: Omit<JobHeaderInit, 'pictures'> & { readonly idempotencyKey: string };
  readonly pictures: readonly JobPicture[];
  /** Bytes that the region has or was sent, of all different pictures. */
  readonly onProgress?: ((sentBytes: number, totalBytes: number) => void) | undefined;
}

/** The wire's bound of a chunk. */
export const CHUNK_BYTES_MAX = 2 ** 20;
/** With back-off up to 5 s, about two minutes without progress: a region restart takes a few seconds. */
export const ATTEMPTS_MAX = 30;
const BACKOFF = { initialMs: 200, maxMs: 5_000 };

/** @returns the job's id, once the region has accepted the job durably. @throws Failure; repeat with the same key to go on. */
export async function submitJob(options: SubmitJobOptions): Promise<string> {
  const pictures = new Map(options.pictures.map((picture) => [hex(picture.digest), picture]));
  const totalBytes = [...pictures.values()].reduce((sum, picture) => sum + picture.sizeBytes, 0);
  const refs = options.pictures.map(({ name, digest, sizeBytes }) => ({ name, digest, sizeBytes }));
  const header: JobHeaderInit = { ...options.header, pictures: refs };
  const attempts = new Attempts(options);
  // Nothing is held at first, so the first message goes out with all pictures: no round trip is wasted.
  let held: ReadonlySet<string> | undefined = new Set();
  let mostHeld = 0;
  for (;;) {
    const missing: [string, JobPicture][] =
      held === undefined ? [] : [...pictures].filter(([digest]) => !held?.has(digest));
    let sentBytes = totalBytes - missing.reduce((sum, [, picture]) => sum + picture.sizeBytes, 0);
    const onChunk = (bytes: number) => {
      sentBytes += bytes;
      options.onProgress?.(sentBytes, totalBytes);
    };
    try {
      const answer = await options.door.submit(
        parts(
          header,
          missing.map(([, picture]) => picture),
          onChunk,
        ),
        options.signal,
      );
      if (answer.accepted) return answer.jobId;
      const now = new Set(answer.heldDigests.map(hex));
      if (now.size > mostHeld) attempts.progressed();
      else if (held !== undefined) await attempts.failed(notKept());
      mostHeld = Math.max(mostHeld, now.size);
      held = now;
    } catch (error) {
      await attempts.failed(error);
      held = undefined;
    }
  }
}

function notKept(): Failure {
  return new Failure('UNAVAILABLE', 'the region does not keep the pictures it is sent; is its disk full?');
}

async function* parts(
  header: JobHeaderInit,
  pictures: readonly JobPicture[],
  onChunk: (bytes: number) => void,
): AsyncGenerator<SubmitPart> {
  yield { part: { case: 'header', value: header } };
  for (const picture of pictures) {
    yield { part: { case: 'picture', value: { digest: picture.digest } } };
    for await (const piece of picture.read())
      for (let from = 0; from < piece.length; from += CHUNK_BYTES_MAX) {
        const chunk = piece.subarray(from, from + CHUNK_BYTES_MAX);
        yield { part: { case: 'chunk', value: chunk } };
        onChunk(chunk.length);
      }
  }
}

export interface WatchJobOptions extends RetryPorts {
  readonly jobId: string;
  /** The last cursor that was seen; 0 for all results. */
  readonly cursor?: bigint;
}

export type JobUpdate =
  | { readonly kind: 'result'; readonly cursor: bigint; readonly result: TaskResult }
  | { readonly kind: 'job'; readonly job: Job };

/** Yields each result once, then the finished or cancelled job. @throws Failure when the job is unknown or retries end. */
export async function* watchJob(options: WatchJobOptions): AsyncGenerator<JobUpdate> {
  const attempts = new Attempts(options);
  let cursor = options.cursor ?? 0n;
  for (;;) {
    try {
      for await (const { cursor: at, update } of options.door.watch(options.jobId, cursor, options.signal)) {
        if (update.case === 'job') {
          yield { kind: 'job', job: update.value };
          return;
        }
        if (update.case !== 'result' || at <= cursor) continue;
        cursor = at;
        attempts.progressed();
        yield { kind: 'result', cursor, result: update.value };
      }
      throw new Failure('UNAVAILABLE', 'the region ended the watch before the job was finished');
    } catch (error) {
      await attempts.failed(error);
    }
  }
}

/** Counts attempts without progress, and waits between them. */
class Attempts {
  readonly #ports: RetryPorts;
  #inVain = 0;

  constructor(ports: RetryPorts) {
    this.#ports = ports;
  }

  progressed(): void {
    this.#inVain = 0;
  }

  /** Waits before the next attempt. @throws the failure when there is to be none. */
  async failed(error: unknown): Promise<void> {
    const failure = Failure.from(error);
    const { signal, clock, random, onRetry } = this.#ports;
    // A server that goes down may cancel its streams.
    const lost = failure.code === 'CANCELLED' && signal?.aborted !== true;
    if (signal?.aborted || !(failure.retryable || lost) || ++this.#inVain >= ATTEMPTS_MAX) throw failure;
    const delayMs = Math.max(backoffMs(this.#inVain - 1, BACKOFF, random), failure.retryDelayMs ?? 0);
    onRetry?.(failure, delayMs);
    await clock.sleep(delayMs, signal);
  }
}

function hex(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex');
}
