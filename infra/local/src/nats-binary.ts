import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '@meridian/failure';

const run = promisify(execFile);

/**
 * Finds nats-server: `NATS_SERVER`, then `PATH`, then Debian's package unpacked below the state folder (downloaded when
 * it is not there). Never installs anything.
 * @throws Failure FAILED_PRECONDITION / NATS_SERVER_MISSING that says what to install.
 */
export async function findNatsServer(options: {
  readonly explicit: string | undefined;
  readonly path: string;
  readonly stateRoot: string;
  readonly packageScript: string;
}): Promise<string> {
  if (options.explicit !== undefined && options.explicit !== '') {
    if (await isExecutable(options.explicit)) return options.explicit;
    throw missing(`NATS_SERVER names ${options.explicit}, which is not an executable file`);
  }
  for (const folder of options.path.split(delimiter)) {
    const candidate = join(folder, 'nats-server');
    if (folder !== '' && (await isExecutable(candidate))) return candidate;
  }
  const unpacked = join(options.stateRoot, 'deb', 'nats-server', 'usr', 'sbin', 'nats-server');
  if (await isExecutable(unpacked)) return unpacked;
  try {
    await run(options.packageScript, ['nats-server', options.stateRoot]);
  } catch (error) {
    throw missing(stderrOf(error));
  }
  if (await isExecutable(unpacked)) return unpacked;
  throw missing('the downloaded package holds no nats-server');
}

/** Folder of Debian's sample photographs, or undefined with the reason when they cannot be had here. */
export async function fetchSamplePhotographs(options: {
  readonly stateRoot: string;
  readonly packageScript: string;
}): Promise<{ readonly directory: string } | { readonly problem: string }> {
  const data = 'usr/lib/python3/dist-packages/skimage/data';
  try {
    await run(options.packageScript, ['python3-skimage', options.stateRoot]);
    return { directory: join(options.stateRoot, 'deb', 'python3-skimage', data) };
  } catch (error) {
    return { problem: stderrOf(error) };
  }
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function stderrOf(error: unknown): string {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  return text.trim().split('\n').slice(-3).join(' ');
}

function missing(reason: string): Failure {
  return new Failure(
    'FAILED_PRECONDITION',
    `no nats-server: ${reason}. Put nats-server 2.9.10 or later on PATH, or set NATS_SERVER to its file (releases: github.com/nats-io/nats-server).`,
    { reason: 'NATS_SERVER_MISSING' },
  );
}
