import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { isTenant } from '@meridian/contracts';
import { type JobHeader, JobHeaderSchema, type PictureRef } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { formatRule, isEmptyRule, NO_RULE, type ResidencyRule } from '@meridian/residency';
import { PICTURE_BYTES_MAX } from './picture.ts';
import { priorityName } from './priority.ts';

export const PICTURES_MAX = 10_000;
const KEY_BYTES_MAX = 128;
const NAME_BYTES_MAX = 256;
const MODEL_CHARS_MAX = 128;
const RULE_ENTRIES_MAX = 64;
/** The record holds the header and little else; the stream takes 4 MiB, and the broker's headers need room. */
const HEADER_BYTES_MAX = 4 * 2 ** 20 - 64 * 1024;
/** Problems that are listed: a header may have thousands of the same kind. */
const PROBLEMS_SHOWN = 10;

/** Fingerprint of what a header and the rule beside it ask for: the same key must come with the same one. */
export function headerDigest(header: JobHeader, rule: ResidencyRule = NO_RULE): Buffer {
  const hash = createHash('sha256').update(toBinary(JobHeaderSchema, header));
  if (!isEmptyRule(rule)) hash.update(`\n${formatRule(rule)}`);
  return hash.digest();
}

/** @throws Failure INVALID_ARGUMENT / HEADER_INVALID that names every field that is wrong. Not retryable. */
export function checkHeader(header: JobHeader): void {
  const problems: string[] = [];
  const check = (right: boolean, field: string, expected: string): void => {
    if (!right) problems.push(`${field}: ${expected}`);
  };
  const keyBytes = Buffer.byteLength(header.idempotencyKey);
  check(header.tenant === '' || isTenant(header.tenant), 'tenant', 'expected 1–63 of a–z, 0–9 and inner hyphens');
  check(priorityName(header.priority) !== undefined, 'priority', 'not a priority class');
  check(header.model.length <= MODEL_CHARS_MAX, 'model', `expected at most ${MODEL_CHARS_MAX} characters`);
  check(keyBytes >= 1 && keyBytes <= KEY_BYTES_MAX, 'idempotency_key', `expected 1 … ${KEY_BYTES_MAX} bytes`);
  const rule = header.residency;
  check((rule?.regions.length ?? 0) <= RULE_ENTRIES_MAX, 'residency.regions', `at most ${RULE_ENTRIES_MAX}`);
  check((rule?.zones.length ?? 0) <= RULE_ENTRIES_MAX, 'residency.zones', `at most ${RULE_ENTRIES_MAX}`);
  check(header.deadlineUnixMs <= Number.MAX_SAFE_INTEGER, 'deadline_unix_ms', 'too large');
  const count = header.pictures.length;
  check(count >= 1 && count <= PICTURES_MAX, 'pictures', `expected 1 … ${PICTURES_MAX}, found ${count}`);
  if (count <= PICTURES_MAX) checkPictures(header.pictures, check);
  if (problems.length === 0 && toBinary(JobHeaderSchema, header).length > HEADER_BYTES_MAX)
    problems.push(`header: more than ${HEADER_BYTES_MAX} bytes; shorten the names of the pictures`);
  if (problems.length > 0) throw headerInvalid(problems);
}

function checkPictures(
  pictures: readonly PictureRef[],
  check: (right: boolean, field: string, expected: string) => void,
): void {
  const sizes = new Map<string, number>();
  for (const [i, { digest, sizeBytes, name }] of pictures.entries()) {
    const key = Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString('latin1');
    const size = sizes.get(key) ?? sizeBytes;
    sizes.set(key, size);
    check(digest.length === 32, `pictures[${i}].digest`, 'expected the 32 bytes of a sha256');
    check(sizeBytes >= 1, `pictures[${i}].size_bytes`, 'the picture is empty');
    check(sizeBytes <= PICTURE_BYTES_MAX, `pictures[${i}].size_bytes`, `expected at most ${PICTURE_BYTES_MAX}`);
    check(size === sizeBytes, `pictures[${i}].size_bytes`, 'the same digest has another size before');
    check(Buffer.byteLength(name) <= NAME_BYTES_MAX, `pictures[${i}].name`, `expected at most ${NAME_BYTES_MAX} bytes`);
  }
}

function headerInvalid(problems: readonly string[]): Failure {
  const shown = problems.slice(0, PROBLEMS_SHOWN).join('; ');
  const more = problems.length > PROBLEMS_SHOWN ? `; and ${problems.length - PROBLEMS_SHOWN} more` : '';
  return new Failure('INVALID_ARGUMENT', `the job's header is not valid: ${shown}${more}`, {
    reason: 'HEADER_INVALID',
  });
}
