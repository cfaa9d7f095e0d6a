import { randomUUID } from 'node:crypto';
import { RecognitionService, type RecognizeResponse } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import { backoffMs } from '@meridian/runtime';
import type { Command } from 'commander';
import { annotationPaths } from '../annotation-paths.ts';
import { withPlace, withRegion } from '../connection.ts';
import { someFailed } from '../exit.ts';
import { formatRecognition } from '../format/recognition.ts';
import { resultJson } from '../json.ts';
import { readPicture } from '../picture-file.ts';
import type { RegionDoors } from '../running-system.ts';
import { note, print, printJson } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf, wholeNumber } from './context.ts';
import { following, isElsewhere } from './following.ts';
import { addRequestOptions, type RequestOptions, requestFields, requestMetadata } from './request-options.ts';

interface RecognizeOptions extends RequestOptions {
  readonly timeoutMs: number;
  readonly annotate?: string;
  /** Commander's name for the absence of `--no-cache`. */
  readonly cache: boolean;
}

/** Enough to keep several regions busy; each holds one picture in memory. */
const CONCURRENCY = 8;
const FILES_MAX = 1_000;
/** About ten seconds: a process that was killed is back in a few. */
const ATTEMPTS_MAX = 12;
const BACKOFF = { initialMs: 100, maxMs: 2_000 };
/** Attempts in vain after which the user is told why nothing happens, once. */
const ATTEMPTS_UNTOLD = 3;

export function addRecognizeCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('recognize')
    .description('recognise pictures at once: objects, scores, boxes, where each ran and where the time went')
    .argument('<files...>', 'JPEG, PNG or WebP files')
    .option('--timeout-ms <n>', 'time for each picture', wholeNumber(1, 3_600_000), 60_000)
    .option('--no-cache', 'work on the pictures even where the region remembers their answers')
    .option('--annotate <path>', 'write a JPEG with boxes and labels drawn in; a folder for several files');
  addRequestOptions(command).action(async (files: string[]) => {
    const options = optionsOf<RecognizeOptions>(command);
    if (files.length > FILES_MAX)
      throw new Failure('INVALID_ARGUMENT', `${files.length} files; for more than ${FILES_MAX} use \`jobs submit\``);
    const drawings = options.annotate === undefined ? new Map() : await annotationPaths(options.annotate, files);
    const door = { service: RecognitionService, door: 'scheduler', identity: 'client' } as const;
    await following(options, context, (told) =>
      withRegion(told, door, (client, region) =>
        recognizeAll(files, { ...context, options: told, drawings, client, region, told: false }),
      ),
    );
  });
}

/** One run of the command. */
interface Run extends CommandContext {
  readonly options: RecognizeOptions & GlobalOptions;
  readonly drawings: ReadonlyMap<string, string>;
  readonly client: RpcClient<typeof RecognitionService>;
  readonly region: RegionDoors;
  /** The user knows that a picture is tried again. */
  told: boolean;
}

type Answer = { readonly file: string; readonly picture: Buffer | undefined } & (
  | { readonly response: RecognizeResponse }
  | { readonly failure: Failure }
);

async function recognizeAll(files: readonly string[], run: Run): Promise<void> {
  let failed = 0;
  let lastFailure: Failure | undefined;
  const waiting: Promise<Answer>[] = [];
  const show = async () => {
    const answer = await waiting.shift();
    if (run.signal.aborted) throw new Failure('CANCELLED', 'stopped');
    if (answer === undefined) return;
    const failure = await report(answer, files.length, run);
    if (failure === undefined) return;
    failed++;
    lastFailure = failure;
  };
  for (const file of files) {
    const answer = recognizeFile(file, run);
    answer.catch(() => undefined); // the first one that is looked at is thrown
    waiting.push(answer);
    if (waiting.length >= CONCURRENCY) await show();
  }
  while (waiting.length > 0) await show();
  if (lastFailure === undefined) return;
  if (files.length === 1) throw withFile(lastFailure, files[0] ?? '');
  throw someFailed(failed, files.length);
}

async function recognizeFile(file: string, run: Run): Promise<Answer> {
  let picture: Buffer | undefined;
  try {
    picture = await readPicture(file);
    const fields = { ...requestFields(run.options), noCache: !run.options.cache };
    const request = { ...fields, picture, idempotencyKey: randomUUID() };
    return { file, picture, response: await recognizeOnce(request, run) };
  } catch (error) {
    const failure = withPlace(Failure.from(error), run.region, run.region.scheduler);
    // All files have the same rule: the first refusal is that of the run.
    if (run.options.follow === true && isElsewhere(failure)) throw failure;
    return { file, picture, failure };
  }
}

/** What a region says of a picture does not name the file. */
function withFile(failure: Failure, file: string): Failure {
  if (!failure.reason.startsWith('PICTURE_') || failure.message.startsWith(file)) return failure;
  const { code, reason, retryable } = failure;
  return new Failure(code, `${file}: ${failure.message}`, { reason, retryable, cause: failure });
}

/** Unary recognitions are not durable: after a lost connection the same key is tried again, within the deadline. */
async function recognizeOnce(
  request: Parameters<RpcClient<typeof RecognitionService>['recognize']>[0],
  run: Run,
): Promise<RecognizeResponse> {
  const { client, clock, random, region, signal, terminal } = run;
  const deadlineMs = clock.nowMs() + run.options.timeoutMs;
  const metadata = requestMetadata(run.options);
  for (let attempt = 0; ; attempt++) {
    try {
      return await client.recognize(request, { deadlineMs, signal, metadata });
    } catch (error) {
      const failure = Failure.from(error);
      const delayMs = Math.max(backoffMs(attempt, BACKOFF, random), failure.retryDelayMs ?? 0);
      const late = clock.nowMs() + delayMs >= deadlineMs;
      if (!failure.retryable || signal.aborted || late || attempt + 1 >= ATTEMPTS_MAX) throw failure;
      if (attempt >= ATTEMPTS_UNTOLD && !run.told) {
        run.told = true;
        note(terminal, `${region.name}: ${failure.message}; trying again`);
      }
      await clock.sleep(delayMs, signal);
    }
  }
}

/** Prints one answer. @returns its failure, when it is one. */
async function report(answer: Answer, files: number, run: Run): Promise<Failure | undefined> {
  const { options, terminal } = run;
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
  const drawing = run.drawings.get(file);
  if (drawing !== undefined && answer.picture !== undefined && result.outcome.case === 'recognition') {
    // Loaded here because starting the image library takes longer than the rest of a command.
    const { writeAnnotated } = await import('../annotated-picture.ts');
    await writeAnnotated(answer.picture, result.outcome.value, drawing);
  }
  return undefined;
}
