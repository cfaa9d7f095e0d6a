import { type Job, JobSchema } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { Command } from 'commander';
import { formatJobs } from '../format/job.ts';
import { plain } from '../json.ts';
import { findSystem } from '../running-system.ts';
import { note, print, printJson } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf, wholeNumber } from './context.ts';
import { CALL_TIMEOUT_MS, type JobClient, onRegion, type TenantOptions, whereJobIs } from './job-region.ts';
import { addSubmit, addWatch } from './job-run.ts';

export function addJobsCommands(program: Command, context: CommandContext): void {
  const jobs = program.command('jobs').description('durable jobs of many pictures');
  addSubmit(jobs, context);
  addWatch(jobs, context);
  addList(jobs, context);
  addShow(jobs, context);
  addCancel(jobs, context);
}

function addList(jobs: Command, { terminal }: CommandContext): void {
  const list = jobs
    .command('list')
    .description('jobs of a tenant, newest first')
    .option('-r, --region <name>', 'jobs that this region accepted (default: all regions)')
    .option('--tenant <name>', 'tenant (default: public)')
    .option('--limit <n>', 'at most this many', wholeNumber(1, 1_000), 100)
    .action(async () => {
      const options = optionsOf<TenantOptions & { limit: number }>(list);
      const regions = options.region === undefined ? (await findSystem(options)).regions : [{ name: options.region }];
      const answers = await Promise.allSettled(regions.map(({ name }) => jobsOf({ ...options, region: name })));
      const failures = answers.filter((answer) => answer.status === 'rejected').map(({ reason }) => reason);
      if (failures.length > 0 && failures.length === answers.length) throw failures[0];
      for (const failure of failures) note(terminal, `without its jobs: ${Failure.from(failure).message}`);
      const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      const jobs = found.toSorted((a, b) => Number(b.acceptedUnixMs - a.acceptedUnixMs)).slice(0, options.limit);
      if (options.json) printJson(terminal, { jobs: jobs.map((job) => plain(JobSchema, job)) });
      else print(terminal, formatJobs(jobs));
    });
}

function jobsOf(options: TenantOptions & GlobalOptions & { limit: number }): Promise<readonly Job[]> {
  const request = { tenant: options.tenant ?? '', limit: options.limit };
  return onRegion(options, async (client) => (await client.listJobs(request, { timeoutMs: CALL_TIMEOUT_MS })).jobs);
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
  call: (
    client: JobClient,
    request: { jobId: string; tenant: string },
  ) => ReturnType<JobClient['getJob' | 'cancelJob']>,
): void {
  const command = jobs
    .command(name)
    .description(description)
    .argument('<id>', 'job')
    .option('-r, --region <name>', 'region to ask (default: the one in its id)')
    .option('--tenant <name>', 'tenant of the job')
    .action(async (jobId: string) => {
      const options = optionsOf<TenantOptions>(command);
      await onRegion(await whereJobIs(jobId, options), async (client) => {
        const { job } = await call(client, { jobId, tenant: options.tenant ?? '' });
        if (job === undefined) throw new Failure('NOT_FOUND', `no job ${jobId}`);
        if (options.json) printJson(terminal, { job: plain(JobSchema, job) });
        else print(terminal, formatJobs([job]));
      });
    });
}
