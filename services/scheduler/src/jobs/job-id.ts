import { createHash } from 'node:crypto';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
/** 130 bits: no two jobs of a region will ever share an id. */
const ID_CHARS = 26;

/**
 * The id of the job that a tenant's idempotency key stands for in a region: `<region>-<26 characters>`. Deterministic, so
 * that creating it twice is a lost compare-and-set and not a second job.
 */
export function jobIdOf(region: string, tenant: string, idempotencyKey: string): string {
  const hash = createHash('sha256').update(`${region}\n${tenant}\n${idempotencyKey}`).digest();
  let id = '';
  let bits = 0;
  let buffered = 0;
  for (const byte of hash) {
    buffered = ((buffered << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5 && id.length < ID_CHARS) {
      bits -= 5;
      id += ALPHABET[(buffered >> bits) & 31];
    }
  }
  return `${region}-${id}`;
}

/** The region that a job id names, for ids of any region; undefined for what cannot be one. */
export function regionOfJob(jobId: string): string | undefined {
  return /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)-[a-z2-7]{26}$/.exec(jobId)?.[1];
}

export function taskIdOf(jobId: string, index: number): string {
  return `${jobId}/${index}`;
}

/** @returns undefined for the id of a call's task. */
export function parseTaskId(taskId: string): { readonly jobId: string; readonly index: number } | undefined {
  const match = /^(.+)\/(\d{1,9})$/.exec(taskId);
  return match === null ? undefined : { jobId: match[1] ?? '', index: Number(match[2]) };
}
