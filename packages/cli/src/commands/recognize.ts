import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { RecognitionService, type RecognizeResponse } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import { backoffMs } from '@meridian/runtime';
import type { Command } from 'commander';
import { withPlace, withRegion } from '../connection.ts';
import { formatRecognition } from '../format/recognition.ts';
import { resultJson } from '../json.ts';
import { readPicture } from '../picture-file.ts';
import type { RegionDoors } from '../running-system.ts';
import { print, printJson } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf, wholeNumber } from './context.ts';
import { addRequestOptions, type RequestOptions, requestFields } from './request-options.ts';

interface RecognizeOptions extends RequestOptions {
  readonly timeoutMs: number;
  readonly annotate?: string;
}

/** Enough to keep several regions busy; each holds one picture in memory. */
const CONCURRENCY = 8;
const FILES_MAX = 1_000;
const ATTEMPTS_MAX = 5;
const BACKOFF = { initialMs: 100, maxMs: 2_000 };

export function addRecognizeCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('recognize')
    .description('recognise pictures at once: objects, scores, boxes, where each ran and where the time went')
    .argument('<files...>', 'JPEG, PNG or WebP files')
    .option('--timeout-ms <n>', 'time for each picture', wholeNumber(1, 3_600_000), 60_000)
    .option('--annotate <path>', 'write a JPEG with boxes and labels drawn in; a folder for several files');
  addRequestOptions(command).action(async (files: string[]) => {
    const options = optionsOf<RecognizeOptions>(command);
    if (files.length > FILES_MAX)
      throw new Failure('INVALID_ARGUMENT', `${files.length} files; for more than ${FILES_MAX} use \`jobs submit\``);
    if (options.annotate !== undefined && files.length > 1) await mkdir(options.annotate, { recursive: true });
    await withRegion(
      options,
      { service: RecognitionService, door: 'scheduler', identity: 'client' },
      (client, region) => recognizeAll(files, options, context, client, region),
    );
  });
}

type Answer = { readonly file: string; readonly picture: Buffer | undefined } & (
  | { readonly response: RecognizeResponse }
  | { readonly failure: Failure }
);

async function recognizeAll(
  files: readonly string[],
  options: RecognizeOptions & GlobalOptions,
  context: CommandContext,
  client: RpcClient<typeof RecognitionService>,
  region: RegionDoors,
): Promise<void> {
  let failed = 0;
  let lastFailure: Failure | undefined;
  const waiting: Promise<Answer>[] = [];
  const show = async () => {
    const answer = await waiting.shift();
    if (answer === undefined) return;
    const failure = await report(answer, files.length, options, context);
    if (failure === undefined) return;
    failed++;
    lastFailure = failure;
  };
  for (const file of files) {
    waiting.push(recognizeFile(file, options, context, client, region));
    if (waiting.length >= CONCURRENCY) await show();
  }
  while (waiting.length > 0) await show();
  if (lastFailure === undefined) return;
  if (files.length === 1) throw lastFailure;
  throw new Failure('INTERNAL', `${failed} of ${files.length} pictures have no recognition; see above`, {
    reason: 'SOME_FAILED',
  });
}

async function recognizeFile(
  file: string,
  options: RecognizeOptions,
  context: CommandContext,
  client: RpcClient<typeof RecognitionService>,
  region: RegionDoors,
): Promise<Answer> {
  let picture: Buffer | undefined;
  try {
    picture = await readPicture(file);
    const request = { ...requestFields(options), picture, idempotencyKey: randomUUID() };
    return { file, picture, response: await recognizeOnce(request, options.timeoutMs, context, client) };
  } catch (error) {
    return { file, picture, failure: withPlace(Failure.from(error), region, region.scheduler) };
  }
}

/** Unary recognitions are not durable: after a lost connection the same key is tried again, within the deadline. */
async function recognizeOnce(
  request: Parameters<RpcClient<typeof RecognitionService>['recognize']>[0],
  timeoutMs: number,
  { clock, random, signal }: CommandContext,
  client: RpcClient<typeof RecognitionService>,
): Promise<RecognizeResponse> {
  const deadlineMs = clock.nowMs() + timeoutMs;
  for (let attempt = 0; ; attempt++) {
    try {
      return await client.recognize(request, { deadlineMs, signal });
    } catch (error) {
      const failure = Failure.from(error);
      const delayMs = Math.max(backoffMs(attempt, BACKOFF, random), failure.retryDelayMs ?? 0);
      const late = clock.nowMs() + delayMs >= deadlineMs;
      if (!failure.retryable || signal.aborted || late || attempt + 1 >= ATTEMPTS_MAX) throw failure;
      await clock.sleep(delayMs, signal);
    }
  }
}

/** Prints one answer. @returns its failure, when it is one. */
async function report(
  answer: Answer,
  files: number,
  options: RecognizeOptions & GlobalOptions,
  { terminal }: CommandContext,
): Promise<Failure | undefined> {
  const { file } = answer;
  if ('failure' in answer) {
    const { code, reason, message, retryable } = answer.failure;
    if (options.json) printJson(terminal, { file, error: { code, reason, message, retryable } });
    else if (files > 1) print(terminal, `${file}\n  ${code}: ${message}`);
    return answer.failure;
  }
  const { result, versionVector } = answer.response;
  if (result === undefined)
    return new Failure('INTERNAL', `${file}: the region sent no result`, { reason: 'NO_RESULT' });
  if (options.json) printJson(terminal, { file, result: resultJson(result), versionVector });
  else print(terminal, `${file}\n${formatRecognition(result)}`);
  if (result.outcome.case === 'error') {
    const { code, reason, message } = result.outcome.value;
    return new Failure('INTERNAL', `${file}: ${code}: ${message}`, { reason });
  }
  if (options.annotate !== undefined && answer.picture !== undefined && result.outcome.case === 'recognition') {
    const path = files > 1 ? join(options.annotate, `${basename(file)}.jpg`) : options.annotate;
    // Loaded here because starting the image library takes longer than the rest of a command.
    const { writeAnnotated } = await import('../annotated-picture.ts');
    await writeAnnotated(answer.picture, result.outcome.value, path);
  }
  return undefined;
}
