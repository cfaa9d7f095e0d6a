import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Failure } from '@meridian/failure';
import { z } from 'zod';

/** One of our programs as a container starts it: by the path of its compiled entry. */
export interface Program {
  /** Such as `scheduler`: of its folder, its container and its ConfigMap. */
  readonly name: string;
  readonly schema: z.ZodObject;
}

const ENTRY = /^((?:services|infra)\/([a-z][a-z-]*))\/dist\/main\.js$/;

/**
 * The program that a container's arguments start, with the schema of its environment, which is the one that its source exports;
 * undefined for programs that are not ours.
 * @throws Failure NOT_FOUND / PROGRAM_UNKNOWN when there is no such source.
 */
export async function programOf(repository: string, args: readonly string[]): Promise<Program | undefined> {
  const match = args.map((argument) => ENTRY.exec(argument)).find((found) => found !== null);
  const [, folder, name] = match ?? [];
  if (folder === undefined || name === undefined) return undefined;
  const source = join(repository, folder, 'src');
  for (const file of ['main.ts', 'config.ts'])
    await access(join(source, file)).catch((cause) => {
      throw new Failure('NOT_FOUND', `a container starts ${folder}, but there is no ${folder}/src/${file}`, {
        reason: 'PROGRAM_UNKNOWN',
        cause,
      });
    });
  const exported: unknown = await import(pathToFileURL(join(source, 'config.ts')).href);
  const schema = Object.values(exported as object).find((value) => value instanceof z.ZodObject);
  if (schema === undefined)
    throw new Failure('NOT_FOUND', `${folder}/src/config.ts exports no schema`, { reason: 'PROGRAM_UNKNOWN' });
  return { name, schema };
}
