import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { STREAMS, type StreamName } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { z } from 'zod';

/** Creates and checks the streams of one region's broker. */
export interface StreamAdministration {
  /** Those that are missing; what is there is left alone. */
  createStreams(): Promise<void>;
  /** @throws Failure FAILED_PRECONDITION / STREAM_MISSING for one of these. */
  verify(streams: readonly StreamName[]): Promise<void>;
}

const identitySchema = z.strictObject({
  region: z.string(),
  id: z.string(),
  createdAt: z.string(),
  /** Those that the region has had: each must be there at every later start. */
  streams: z.array(z.string()).optional(),
});
type Identity = z.output<typeof identitySchema>;

/** Of an identity that was written before it named them. */
const FIRST_STREAMS: readonly string[] = ['TASKS', 'EVENTS', 'STATE', 'JOBS', 'AUDIT'];

/**
 * First start: creates the streams, then writes the region's identity, outside the JetStream store.
 * Later starts: an identity without its streams means that the store was lost or the key is wrong. Going on would
 * make the region forget accepted jobs unseen, so it stops until an operator says `regions reinit`. A stream that came with
 * a later release than the identity is made.
 * @throws Failure FAILED_PRECONDITION / REGION_STORE_MISSING or IDENTITY_MISMATCH. Not retryable.
 */
export async function initializeRegion(
  region: string,
  identityFile: string,
  streams: StreamAdministration,
): Promise<'created' | 'extended' | 'verified'> {
  const text = await readFile(identityFile, 'utf8').catch(() => undefined);
  const all = STREAMS.map(({ name }) => name);
  if (text === undefined) {
    await streams.createStreams();
    await writeIdentity(identityFile, {
      ...{ region, id: randomUUID(), createdAt: new Date().toISOString(), streams: all },
    });
    return 'created';
  }
  const identity = readIdentity(text, region, identityFile);
  const had = new Set(identity.streams ?? FIRST_STREAMS);
  await verify(
    identity,
    streams,
    all.filter((name) => had.has(name)),
  );
  if (all.every((name) => had.has(name))) return 'verified';
  await streams.createStreams();
  await writeIdentity(identityFile, { ...identity, streams: [...new Set([...had, ...all])] });
  return 'extended';
}

function readIdentity(text: string, region: string, identityFile: string): Identity {
  const identity = identitySchema.safeParse(parseJson(text));
  if (identity.success && identity.data.region === region) return identity.data;
  throw new Failure('FAILED_PRECONDITION', `${identityFile} is not the identity of region ${region}`, {
    reason: 'IDENTITY_MISMATCH',
  });
}

async function verify(
  { region, createdAt }: Identity,
  streams: StreamAdministration,
  names: readonly StreamName[],
): Promise<void> {
  try {
    await streams.verify(names);
  } catch (error) {
    if (!(error instanceof Failure) || error.reason !== 'STREAM_MISSING') throw error;
    throw new Failure(
      'FAILED_PRECONDITION',
      `region ${region} was initialised on ${createdAt}, but its broker lacks a stream: ${error.message}. Its store was lost or its key is wrong. Restore them, or accept the loss with: ./meridian regions reinit ${region}`,
      { reason: 'REGION_STORE_MISSING', cause: error },
    );
  }
}

/** Whole or not at all. */
async function writeIdentity(identityFile: string, identity: Identity): Promise<void> {
  await writeFile(`${identityFile}.new`, `${JSON.stringify(identity, null, 2)}\n`, { flush: true });
  await rename(`${identityFile}.new`, identityFile);
}

/** Forgets the region's identity and store; the next start makes new ones. The broker must be down. */
export async function forgetRegion(identityFile: string, brokerStore: string): Promise<void> {
  await rm(brokerStore, { recursive: true, force: true });
  await rm(identityFile, { force: true });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
