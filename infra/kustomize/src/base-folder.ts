import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { containersOf, type Manifest, parseManifests, workloadsOf } from './manifest.ts';
import { type Program, programOf } from './program.ts';

/** What is in `infra/kustomize/base`: a folder more, and a region has a service more, without a list anywhere. */
export interface BaseFolder {
  /** Names of the folders, in alphabetical order. */
  readonly folders: readonly string[];
  /** Our programs that containers start. */
  readonly programs: readonly Program[];
  /** Names of all that needs a certificate: our programs and the broker. */
  readonly identities: readonly string[];
}

/** @throws Failure PROGRAM_UNKNOWN or MANIFEST_INVALID. */
export async function readBase(repository: string): Promise<BaseFolder> {
  const root = join(repository, 'infra', 'kustomize', 'base');
  const entries = await readdir(root, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  folders.sort();
  const objects = (await Promise.all(folders.map((folder) => objectsIn(join(root, folder))))).flat();
  const containers = workloadsOf(objects).flatMap(containersOf);
  const found = await Promise.all(containers.map(({ args }) => programOf(repository, args ?? [])));
  const programs = found.filter((program) => program !== undefined);
  return { folders, programs, identities: containers.map(({ name }) => name) };
}

async function objectsIn(folder: string): Promise<Manifest[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml');
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return texts.flatMap(parseManifests);
}
