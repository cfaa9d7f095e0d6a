import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { JobSchema, RecognitionService } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import type { Command } from 'commander';
import { withRegion } from '../connection.ts';
import { formatJobs, JobTally } from '../format/job.ts';
import { formatBytes, formatNumber } from '../format/quantity.ts';
import { type JobDoor, type JobPicture, submitJob, watchJob } from '../job-submission.ts';
import { plain, resultJson } from '../json.ts';
import { listPictures, openPicture } from '../picture-file.ts';
import type { RegionDoors } from '../running-system.ts';
import { note, print, printJson, startProgress } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf, wholeNumber } from './context.ts';
import { addRequestOptions, type RequestOptions, requestFields } from './request-options.ts';

type Client = RpcClient<typeof RecognitionService>;

interface TenantOptions {
  readonly tenant?: string;
}

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
const CALL_TIMEOUT_MS = 15_000;

export function addJobsCommands(program: Command, context: CommandContext): void {
  const jobs = program.command('jobs').description('durable jobs of many pictures');
  addSubmit(jobs, context);
  addWatch(jobs, context);
  addList(jobs, context);
  addShow(jobs, context);
  addCancel(jobs, context);
}

function addSubmit(jobs: Command, context: CommandContext): void {
  const submit = jobs
    .command('submit')
    .description('send pictures as one job and wait for all results; survives lost connections')
    .argument('<paths...>', 'pictures, or folders with pictures in or below them')
    .option('--deadline-ms <n>', 'what is open by then ends with DEADLINE_EXCEEDED', wholeNumber(1, 365 * DAY_MS))
    .option('--key <text>', 'idempotency key; the same key again goes on with the same job (default: random)')
    .option('-o, --output <file>', 'write each result as a JSON line')
    .option('--detach', 'do not wait for the results');
  addRequestOptions(submit).action(async (paths: string[]) => {
    const options = optionsOf<SubmitOptions>(submit);
    const pictures = await openPictures(paths, context);
    await onRegion(options, async (client, region) => {
      const jobId = await upload(client, pictures, options, context);
      if (!options.json) note(context.terminal, `job ${jobId}: ${pictures.length} pictures accepted in ${region.name}`);
      if (options.detach) return options.json ? printJson(context.terminal, { jobId }) : print(context.terminal, jobId);
      await follow(client, region, jobId, pictures.length, options, context);
    });
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
  client: Client,
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
      ...retryPorts(client, options, context),
      pictures,
      header: {
        ...requestFields(options),
        idempotencyKey,
        deadlineUnixMs: options.deadlineMs === undefined ? 0n : BigInt(Math.round(clock.nowMs() + options.deadlineMs)),
      },
      onProgress: (sentBytes) => progress.update(sentBytes),
    });
  } catch (error) {
    const failure = Failure.from(error);
    if (failure.retryable || failure.code === 'CANCELLED')
      note(terminal, `to go on where this stopped, repeat the command with --key ${idempotencyKey}`);
    throw failure;
  } finally {
    progress.end();
  }
}

function addWatch(jobs: Command, context: CommandContext): void {
  const watch = jobs
    .command('watch')
    .description('results of a job as they become final, until it is finished')
    .argument('<id>', 'job')
    .option('-r, --region <name>', 'region to ask')
    .option('--tenant <name>', 'tenant of the job')
    .option('--cursor <n>', 'go on after this cursor', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('-o, --output <file>', 'write each result as a JSON line')
    .action(async (jobId: string) => {
      const options = optionsOf<WatchOptions>(watch);
      await onRegion(options, async (client, region) => {
        const { job } = await client.getJob({ jobId, tenant: options.tenant ?? '' }, { timeoutMs: CALL_TIMEOUT_MS });
        await follow(client, region, jobId, job?.tasks ?? 0, options, context);
      });
    });
}

/** Watches to the end. Results go to the output file, else as JSON lines to stdout when asked; then the summary. */
async function follow(
  client: Client,
  region: RegionDoors,
  jobId: string,
  tasks: number,
  options: WatchOptions & GlobalOptions,
  context: CommandContext,
): Promise<void> {
  const { terminal, clock } = context;
  const output = options.output === undefined ? undefined : createWriteStream(options.output, { flags: 'w' });
  const written = output && new Promise<void>((resolve, reject) => output.once('close', resolve).once('error', reject));
  // Looked at when the job has ended; until then a failed write must not end the process.
  written?.catch(() => undefined);
  const tally = new JobTally();
  const progress = startProgress(terminal, clock, 'results  ', tasks, formatNumber);
  const ports = retryPorts(client, options, context);
  try {
    for await (const update of watchJob({ ...ports, jobId, cursor: BigInt(options.cursor ?? 0) })) {
      if (update.kind === 'result') {
        const line = { cursor: String(update.cursor), result: resultJson(update.result) };
        if (output !== undefined) output.write(`${JSON.stringify(line)}\n`);
        else if (options.json) printJson(terminal, line);
        tally.add(update.result);
        progress.update(tally.total, tally.failed > 0 ? `· ${tally.failed} failed` : '');
      } else {
        progress.end();
        if (options.json) printJson(terminal, { job: plain(JobSchema, update.job) });
        else print(terminal, tally.summary(update.job));
      }
    }
  } catch (error) {
    if (context.signal.aborted)
      note(terminal, `job ${jobId} goes on; watch it again with: jobs watch ${jobId} --region ${region.name}`);
    throw error;
  } finally {
    progress.end();
    output?.end();
  }
  await written;
}

function addList(jobs: Command, { terminal }: CommandContext): void {
  const list = jobs
    .command('list')
    .description('jobs of a tenant, newest first')
    .option('-r, --region <name>', 'region to ask')
    .option('--tenant <name>', 'tenant (default: public)')
    .option('--limit <n>', 'at most this many', wholeNumber(1, 1_000), 100)
    .action(async () => {
      const options = optionsOf<TenantOptions & { limit: number }>(list);
      await onRegion(options, async (client) => {
        const request = { tenant: options.tenant ?? '', limit: options.limit };
        const answer = await client.listJobs(request, { timeoutMs: CALL_TIMEOUT_MS });
        if (options.json) printJson(terminal, { jobs: answer.jobs.map((job) => plain(JobSchema, job)) });
        else print(terminal, formatJobs(answer.jobs));
      });
    });
}

function addShow(jobs: Command, { terminal }: CommandContext): void {
  addOneJob(jobs, 'show', 'state of a job', terminal, (client, request) =>
    client.getJob(request, { timeoutMs: CALL_TIMEOUT_MS }),
  );
}

function addCancel(jobs: Command, { terminal }: CommandContext): void {
  addOneJob(jobs, 'cancel', 'cancel what has not finished; results so far stay', terminal, (client, request) =>
    client.cancelJob(request, { timeoutMs: CALL_TIMEOUT_MS }),
  );
}

function addOneJob(
  jobs: Command,
  name: string,
  description: string,
  terminal: CommandContext['terminal'],
  call: (client: Client, request: { jobId: string; tenant: string }) => ReturnType<Client['getJob' | 'cancelJob']>,
): void {
  const command = jobs
    .command(name)
    .description(description)
    .argument('<id>', 'job')
    .option('-r, --region <name>', 'region to ask')
    .option('--tenant <name>', 'tenant of the job')
    .action(async (jobId: string) => {
      const options = optionsOf<TenantOptions>(command);
      await onRegion(options, async (client) => {
        const { job } = await call(client, { jobId, tenant: options.tenant ?? '' });
        if (job === undefined) throw new Failure('NOT_FOUND', `no job ${jobId}`);
        if (options.json) printJson(terminal, { job: plain(JobSchema, job) });
        else print(terminal, formatJobs([job]));
      });
    });
}

function onRegion(options: GlobalOptions, use: (client: Client, region: RegionDoors) => Promise<void>): Promise<void> {
  return withRegion(options, { service: RecognitionService, door: 'scheduler', identity: 'client' }, use);
}

function retryPorts(client: Client, options: TenantOptions, { terminal, clock, random, signal }: CommandContext) {
  const tenant = options.tenant ?? '';
  const door: JobDoor = {
    submit: (parts, abort) => client.submitJob(parts, { signal: abort }),
    watch: (jobId, cursor, abort) => client.watchJob({ tenant, jobId, cursor }, { signal: abort }),
  };
  const onRetry = (failure: Failure, delayMs: number) =>
    note(terminal, `${failure.message}; trying again in ${formatNumber(delayMs / 1_000)} s`);
  return { door, clock, random, signal, onRetry };
}
