import { access, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fetchSamplePhotographs } from '@meridian/local';

const repository = resolve(import.meta.dirname, '..', '..');
const stateRoot = resolve(process.env.MERIDIAN_STATE ?? join(repository, '.state'));

/** Where `make run` keeps the converted models. */
export const modelDirectory = join(stateRoot, 'models');

/** The bytes of a sample photograph, from SAMPLES or from Debian's python3-skimage (downloaded when it is not there). */
export async function photograph(file: string): Promise<Buffer> {
  const own = join(process.env.SAMPLES ?? '', file);
  if (process.env.SAMPLES && (await exists(own))) return readFile(own);
  const packageScript = join(repository, 'tools', 'provision', 'debian-package.sh');
  const fetched = await fetchSamplePhotographs({ stateRoot, packageScript });
  if ('problem' in fetched)
    throw new Error(`no photograph ${file}: ${fetched.problem}; set SAMPLES to a folder with it`);
  return readFile(join(fetched.directory, file));
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
