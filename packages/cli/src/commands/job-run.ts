import { randomUUID } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { type Job, JobSchema, JobState } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { type Command, Option } from 'commander';
import { someFailed } from '../exit.ts';
import { fileFailure } from '../file-failure.ts';
import { JobTally } from '../format/job.ts';
import { countOf, formatBytes, formatNumber } from '../format/quantity.ts';
import { type JobDoor, type JobPicture, submitJob, watchJob } from '../job-submission.ts';
import { plain, resultJson } from '../json.ts';
import { listPictures, openPicture } from '../picture-file.ts';
import type { RegionDoors } from '../running-system.ts';
import { note, print, printJson, startProgress } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf, wholeNumber } from './context.ts';
import { following } from './following.ts';
import { CALL_TIMEOUT_MS, type JobClient, onRegion, type TenantOptions, whereJobIs } from './job-region.ts';
import { addRequestOptions, type RequestOptions, requestFields, requestMetadata } from './request-options.ts';

interface WatchOptions extends TenantOptions {
  readonly cursor?: number;
  readonly output?: string;
}

interface SubmitOptions extends RequestOptions, WatchOptions {
  readonly deadlineMs?: number;
  readonly key?: string;
  readonly detach?: boolean;
}

const DAY_MS = 24 * 3_600_000;

export function addSubmit(jobs: Command, context: CommandContext): void {
  const submit = jobs
    .command('submit')
    .description('send pictures as one job and wait for all results; survives lost connections')
    .argument('<paths...>', 'pictures, or folders with pictures in or below them')
    .option('--deadline-ms <n>', 'what is open by then ends with DEADLINE_EXCEEDED', wholeNumber(1, 365 * DAY_MS))
    .option('--key <text>', 'idempotency key; the same key again goes on with the same job (default: random)')
    .option('-o, --output <file>', 'write each result as a JSON line')
    .addOption(new Option('--detach', 'do not wait for the results').conflicts('output'));
  addRequestOptions(submit).action(async (paths: string[]) => {
    const options = optionsOf<SubmitOptions>(submit);
    const pictures = await openPictures(paths, context);
    const submitTo = (told: SubmitOptions & GlobalOptions, output: FileHandle | undefined) =>
      onRegion(told, async (client, region) => {
        const jobId = await upload(client, pictures, told, context);
        const accepted = `job ${jobId}: ${countOf(pictures.length, 'picture')} accepted in ${region.name}`;
        if (!options.json) note(context.terminal, accepted);
        if (!options.detach) await follow({ client, region, jobId, tasks: pictures.length, output }, options, context);
        else if (options.json) printJson(context.terminal, { jobId });
        else print(context.terminal, jobId);
      });
    await withOutput(options, (output) => following(options, context, (told) => submitTo(told, output)));
  });
}

async function openPictures(
  paths: readonly string[],
  { terminal, clock }: CommandContext,
): Promise<readonly JobPicture[]> {
  const files = await listPictures(paths);
  const progress = startProgress(terminal, clock, 'reading  ', files.length, formatNumber);
  try {
    const pictures: JobPicture[] = [];
    for (const file of files) {
      pictures.push(await openPicture(file));
      progress.update(pictures.length);
    }
    return pictures;
  } finally {
    progress.end();
  }
}

async function upload(
  client: JobClient,
  pictures: readonly JobPicture[],
  options: SubmitOptions,
  context: CommandContext,
): Promise<string> {
  const { terminal, clock } = context;
  const idempotencyKey = options.key ?? randomUUID();
  const totalBytes = pictures.reduce((sum, picture) => sum + picture.sizeBytes, 0);
  const progress = startProgress(terminal, clock, 'uploading', totalBytes, formatBytes);
  try {
    return await submitJob({
      ...retryPorts(client, options, context, requestMetadata(options)),
      pictures,
      header: {
        ...requestFields(options),
        idempotencyKey,
        deadlineUnixMs: options.deadlineMs === undefined ? 0n : BigInt(Math.round(clock.nowMs() + options.deadlineMs)),
      },
      onProgress: (sentBytes) => progress.update(sentBytes),
    });
  } catch (error) {
    // First: a line of its own for what is said next.
    progress.end();
    const failure = Failure.from(error);
    if (failure.retryable || failure.code === 'CANCELLED')
      note(terminal, `to go on where this stopped, repeat the command with --key ${idempotencyKey}`);
    throw failure;
  } finally {
    progress.end();
  }
}

export function addWatch(jobs: Command, context: CommandContext): void {
  const watch = jobs
    .command('watch')
    .description('results of a job as they become final, until it is finished')
    .argument('<id>', 'job')
    .option('-r, --region <name>', 'region to ask (default: the one in its id)')
    .option('--tenant <name>', 'tenant of the job')
    .option('--cursor <n>', 'go on after this cursor', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('-o, --output <file>', 'write each result as a JSON line')
    .action(async (jobId: string) => {
      const options = optionsOf<WatchOptions>(watch);
      await withOutput(options, async (output) =>
        onRegion(await whereJobIs(jobId, options), async (client, region) => {
          const { job } = await client.getJob({ jobId, tenant: options.tenant ?? '' }, { timeoutMs: CALL_TIMEOUT_MS });
          await follow({ client, region, jobId, tasks: job?.tasks ?? 0, output }, options, context);
        }),
      );
    });
}

/** Opened before anything is sent: a wrong path is not found out when the job has run. */
async function withOutput(
  { output: path }: WatchOptions,
  use: (output: FileHandle | undefined) => Promise<void>,
): Promise<void> {
  if (path === undefined) return use(undefined);
  const output = await open(path, 'w').catch((cause) => {
    throw fileFailure('write', path, cause);
  });
  try {
    await use(output);
  } finally {
    await output.close();
  }
}

interface Followed {
  readonly client: JobClient;
  readonly region: RegionDoors;
  readonly jobId: string;
  readonly tasks: number;
  readonly output: FileHandle | undefined;
}

/**
 * Watches to the end. Results go to the output file, else as JSON lines to stdout when asked; then the summary.
 * @throws Failure SOME_FAILED or JOB_CANCELLED when not every picture has a recognition.
 */
async function follow(
  { client, region, jobId, tasks, output }: Followed,
  options: WatchOptions & GlobalOptions,
  context: CommandContext,
): Promise<void> {
  const { terminal, clock } = context;
  const tally = new JobTally();
  const progress = startProgress(terminal, clock, 'results  ', tasks, formatNumber);
  const ports = retryPorts(client, options, context);
  try {
    for await (const update of watchJob({ ...ports, jobId, cursor: BigInt(options.cursor ?? 0) })) {
      if (update.kind === 'result') {
        const line = { cursor: String(update.cursor), result: resultJson(update.result) };
        if (output !== undefined) await output.write(`${JSON.stringify(line)}\n`);
        else if (options.json) printJson(terminal, line);
        tally.add(update.result);
        progress.update(tally.total, tally.failed > 0 ? `· ${tally.failed} failed` : '');
      } else {
        progress.end();
        if (options.json) printJson(terminal, { job: plain(JobSchema, update.job) });
        else print(terminal, tally.summary(update.job));
        requireAll(update.job);
      }
    }
  } catch (error) {
    progress.end();
    if (context.signal.aborted)
      note(terminal, `job ${jobId} goes on in ${region.name}; watch it again with: ./meridian jobs watch ${jobId}`);
    throw error;
  } finally {
    progress.end();
  }
}

function requireAll({ jobId, state, tasks, failed }: Job): void {
  if (state === JobState.CANCELLED)
    throw new Failure('CANCELLED', `job ${jobId} was cancelled`, { reason: 'JOB_CANCELLED' });
  if (failed > 0) throw someFailed(failed, tasks);
}

function retryPorts(
  client: JobClient,
  options: TenantOptions,
  { terminal, clock, random, signal }: CommandContext,
  metadata: Readonly<Record<string, string>> = {},
) {
  const tenant = options.tenant ?? '';
  const door: JobDoor = {
    submit: (parts, abort) => client.submitJob(parts, { signal: abort, metadata }),
    watch: (jobId, cursor, abort) => client.watchJob({ tenant, jobId, cursor }, { signal: abort }),
  };
  const onRetry = (failure: Failure, delayMs: number) =>
    note(terminal, `${failure.message}; trying again in ${formatNumber(delayMs / 1_000)} s`);
  return { door, clock, random, signal, onRetry };
}
