import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { Failure } from '@meridian/failure';
import { z } from 'zod';

/** Creates and checks the streams of one region's broker. */
export interface StreamAdministration {
  createStreams(): Promise<void>;
  /** @throws Failure FAILED_PRECONDITION / STREAM_MISSING. */
  verify(): Promise<void>;
}

const identitySchema = z.strictObject({ region: z.string(), id: z.string(), createdAt: z.string() });

/**
 * First start: creates the streams, then writes the region's identity, outside the JetStream store.
 * Later starts: an identity without its streams means that the store was lost or the key is wrong. Going on would
 * make the region forget accepted jobs unseen, so it stops until an operator says `regions reinit`.
 * @throws Failure FAILED_PRECONDITION / REGION_STORE_MISSING or IDENTITY_MISMATCH. Not retryable.
 */
export async function initializeRegion(
  region: string,
  identityFile: string,
  streams: StreamAdministration,
): Promise<'created' | 'verified'> {
  const text = await readFile(identityFile, 'utf8').catch(() => undefined);
  if (text === undefined) {
    await streams.createStreams();
    const identity = { region, id: randomUUID(), createdAt: new Date().toISOString() };
    await writeFile(`${identityFile}.new`, `${JSON.stringify(identity, null, 2)}\n`, { flush: true });
    await rename(`${identityFile}.new`, identityFile);
    return 'created';
  }
  const identity = identitySchema.safeParse(parseJson(text));
  if (!identity.success || identity.data.region !== region)
    throw new Failure('FAILED_PRECONDITION', `${identityFile} is not the identity of region ${region}`, {
      reason: 'IDENTITY_MISMATCH',
    });
  try {
    await streams.verify();
  } catch (error) {
    if (!(error instanceof Failure) || error.reason !== 'STREAM_MISSING') throw error;
    throw new Failure(
      'FAILED_PRECONDITION',
      `region ${region} was initialised on ${identity.data.createdAt}, but its broker lacks a stream: ${error.message}. Its store was lost or its key is wrong. Restore them, or accept the loss with: ./meridian regions reinit ${region}`,
      { reason: 'REGION_STORE_MISSING', cause: error },
    );
  }
  return 'verified';
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
