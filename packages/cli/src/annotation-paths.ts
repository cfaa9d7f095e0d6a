import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileFailure } from './file-failure.ts';

/**
 * Where the drawing of each picture goes: to `target` itself for a single picture, else into a folder of that name, which
 * is made. Pictures of the same name in different folders get different names.
 * @throws Failure naming the target when nothing can be written there, before any picture is sent.
 */
export async function annotationPaths(target: string, files: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const refuse = (cause: unknown) => {
    throw fileFailure('write', target, cause);
  };
  const isFolder = await stat(target).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  const [single] = files;
  if (files.length === 1 && single !== undefined && !isFolder) {
    await stat(dirname(target)).catch(refuse);
    return new Map([[single, target]]);
  }
  await mkdir(target, { recursive: true }).catch(refuse);
  const paths = new Map<string, string>();
  const taken = new Set<string>();
  for (const file of new Set(files)) {
    let name = `${basename(file)}.jpg`;
    for (let n = 2; taken.has(name); n++) name = `${basename(file)}-${n}.jpg`;
    taken.add(name);
    paths.set(file, join(target, name));
  }
  return paths;
}
