import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '@meridian/failure';

/** PEM texts of one process: the installation's authority, its own certificate and key. Used on both ends of a call. */
export interface TlsFiles {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * Reads `ca.pem`, `cert.pem` and `key.pem`. For start-up: it blocks.
 * @throws Failure FAILED_PRECONDITION / TLS_FILES_UNREADABLE naming the file. Not retryable.
 */
export function loadTls(directory: string): TlsFiles {
  return { ca: read(directory, 'ca.pem'), cert: read(directory, 'cert.pem'), key: read(directory, 'key.pem') };
}

function read(directory: string, file: string): Buffer {
  try {
    return readFileSync(join(directory, file));
  } catch (cause) {
    throw new Failure('FAILED_PRECONDITION', `cannot read ${file} of the TLS folder`, {
      reason: 'TLS_FILES_UNREADABLE',
      cause,
    });
  }
}
