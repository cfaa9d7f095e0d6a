import type { MessageInitShape } from '@bufbuild/protobuf';
import type { VersionVector } from '@meridian/causality';
import type { JobHeader, SubmitJobRequest, SubmitJobResponseSchema } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { type CallContext, withSilenceLimit } from '@meridian/rpc';
import type { Clock } from '@meridian/runtime';
import { checkHeader, headerDigest } from '../codec/job-header.ts';
import { jobIdOf } from '../jobs/job-id.ts';
import type { JobIndex } from '../jobs/job-index.ts';
import type { JobIntake, Submission } from '../owner/job-intake.ts';
import type { JobRetention } from '../owner/job-retention.ts';
import type { Residency } from '../placement/residency.ts';
import type { Spool } from '../spool/spool.ts';
import { cutOrderFor, tasksOfPicture, tilingWish } from '../tiling/tiling-wish.ts';
import { Admission, type SubmitLimits } from './admission.ts';
import { causesOf } from './call-cause.ts';
import { callRules } from './call-rules.ts';
import { type Models, modelOf } from './model-choice.ts';
import { PictureUpload } from './picture-upload.ts';
import { requiredRecords } from './required-records.ts';

export interface SubmitJobOptions {
  readonly region: string;
  readonly residency: Residency;
  readonly models: Models;
  readonly index: JobIndex;
  readonly intake: JobIntake;
  readonly retention: JobRetention;
  readonly spool: Spool;
  readonly clock: Clock;
  readonly vector: () => VersionVector;
  readonly openTasks: () => number;
  readonly limits: SubmitLimits;
}

/** A client that sends nothing for so long gives its place to others. Above what a cut link keeps from it. */
const UPLOAD_SILENCE_MS = 30_000;

type Response = MessageInitShape<typeof SubmitJobResponseSchema>;

/**
 * `SubmitJob`: a header, then pictures.
 *
 * 1. The header decides before any body is read: what is wrong or too much is refused at once.
 * 2. Pictures that were stored stay stored when the stream breaks: the next try sends only what is missing.
 * 3. The answer says `accepted` only for a durable job.
 */
export class SubmitJobHandler {
  readonly #o: SubmitJobOptions;
  readonly #admission: Admission;

  constructor(options: SubmitJobOptions) {
    this.#o = options;
    const { limits, openTasks, index, retention } = options;
    this.#admission = new Admission({
      limits,
      openTasks,
      indexAdmits: (jobs, tasks) => index.admit(jobs, tasks),
      streamAdmits: (headerBytes, tasks) => retention.admit(headerBytes, tasks),
    });
  }

  async submitJob(requests: AsyncIterable<SubmitJobRequest>, context: CallContext): Promise<Response> {
    const parts = withSilenceLimit(requests, { silenceMs: UPLOAD_SILENCE_MS, clock: this.#o.clock });
    const first = await parts.next();
    const part = first.done ? undefined : first.value.part;
    if (part?.case !== 'header')
      throw new Failure('INVALID_ARGUMENT', 'the first message of a submission is its header', {
        reason: 'HEADER_MISSING',
      });
    const submission = this.#check(part.value, context);
    const known = this.#o.intake.known(submission.jobId, submission.headerDigest);
    if (known !== undefined) return accepted(submission.jobId);
    const { header } = submission;
    const tasks = header.pictures.length * tasksOfPicture(tilingWish(header.tiling));
    const leave = await this.#admission.enter({ tasks, headerBytes: headerBytes(header) });
    try {
      return await this.#upload(submission, parts);
    } finally {
      leave();
    }
  }

  #check(header: JobHeader, context: CallContext): Submission {
    const { region, residency, models, clock } = this.#o;
    checkHeader(header);
    const { tenant, asked, rule } = callRules(context, header);
    const ruling = residency.requireHere(tenant, asked);
    const model = modelOf(models, header.model, region);
    const wish = tilingWish(header.tiling);
    if (wish !== undefined) cutOrderFor(wish, model.name, model.manifest);
    const jobId = jobIdOf(region, tenant, header.idempotencyKey);
    const digest = headerDigest(header, rule);
    const known = this.#o.index.find(jobId) !== undefined;
    // A job that was accepted in time may be asked for after its deadline.
    if (!known && header.deadlineUnixMs !== 0n && Number(header.deadlineUnixMs) <= clock.nowMs())
      throw new Failure('DEADLINE_EXCEEDED', 'deadline_unix_ms: it has passed already');
    const causes = causesOf(context, this.#o.vector());
    const requires = requiredRecords(model, ruling);
    return { jobId, tenant, header, rule, headerDigest: digest, model, requires, causes };
  }

  async #upload(submission: Submission, parts: AsyncIterator<SubmitJobRequest>): Promise<Response> {
    const { spool, intake } = this.#o;
    const { header, jobId } = submission;
    const upload = new PictureUpload(spool, header.pictures);
    try {
      for (let next = await parts.next(); !next.done; next = await parts.next()) await upload.take(next.value.part);
      await upload.end();
    } finally {
      await upload.close();
    }
    const held = upload.held();
    if (held.length < upload.different) return { jobId, accepted: false, heldDigests: held };
    await intake.accept(submission);
    return accepted(jobId);
  }
}

function accepted(jobId: string): Response {
  return { jobId, accepted: true, heldDigests: [] };
}

/** An upper bound without encoding it again. */
function headerBytes(header: JobHeader): number {
  let bytes = 1024;
  for (const { name } of header.pictures) bytes += 64 + 3 * name.length;
  return bytes;
}
