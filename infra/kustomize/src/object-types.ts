import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '@meridian/failure';
import { customProblems, isCustom } from './custom-resources.ts';
import { type Manifest, placeOf } from './manifest.ts';

const run = promisify(execFile);
const TYPES = dirname(createRequire(import.meta.url).resolve('kubernetes-types/package.json'));
const PROBLEMS_BYTES_MAX = 16 * 2 ** 20;

/** Objects of core kinds by the folder of kubernetes-types that has their version. Another kind is an error. */
const CORE_KINDS: Readonly<Record<string, readonly string[]>> = {
  'core/v1': ['ConfigMap', 'Namespace', 'PersistentVolumeClaim', 'Secret', 'Service', 'ServiceAccount'],
  'apps/v1': ['Deployment', 'StatefulSet'],
  'autoscaling/v2': ['HorizontalPodAutoscaler'],
  'networking/v1': ['NetworkPolicy'],
  'policy/v1': ['PodDisruptionBudget'],
  'scheduling/v1': ['PriorityClass'],
};

export interface TypeCheckOptions {
  readonly stateRoot: string;
  /** The TypeScript compiler; default: the one on PATH. */
  readonly tsc?: string;
}

/**
 * Problems of the objects' fields, each with the object's name: unknown fields, wrong types, unknown kinds. Each object becomes
 * a constant of its type, and the compiler judges it, strictly; custom resources have shapes of our own.
 */
export async function typeProblems(objects: readonly Manifest[], options: TypeCheckOptions): Promise<string[]> {
  const unique = [...new Map(objects.map((one) => [JSON.stringify(one), one])).values()];
  const known = unique.filter((one) => moduleOf(one) !== undefined);
  const problems = unique.flatMap((one) => {
    if (isCustom(one)) return customProblems(one).map((problem) => `${placeOf(one)}: ${problem}`);
    return moduleOf(one) === undefined ? [`${placeOf(one)}: kind ${one.apiVersion} ${one.kind} is not known here`] : [];
  });
  return [...problems, ...(await compilerProblems(known, options))];
}

function moduleOf({ apiVersion, kind }: Manifest): string | undefined {
  const [group = '', version] = apiVersion.split('/');
  const module = version === undefined ? `core/${group}` : `${group.split('.', 1)[0]}/${version}`;
  return CORE_KINDS[module]?.includes(kind) ? module : undefined;
}

async function compilerProblems(objects: readonly Manifest[], options: TypeCheckOptions): Promise<string[]> {
  await mkdir(options.stateRoot, { recursive: true });
  const folder = await mkdtemp(join(options.stateRoot, 'types-'));
  try {
    await writeFile(join(folder, 'objects.ts'), objects.map(constant).join(''));
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(COMPILER));
    await run(options.tsc ?? 'tsc', ['-p', folder, '--pretty', 'false'], { maxBuffer: PROBLEMS_BYTES_MAX });
    return [];
  } catch (error) {
    return readProblems(error, objects);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const COMPILER = {
  compilerOptions: {
    ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: true },
    ...{ module: 'preserve', moduleResolution: 'bundler', target: 'es2024', types: [] },
  },
  files: ['objects.ts'],
};

/** On two lines, so that the line of a problem says whose it is. */
function constant(object: Manifest, i: number): string {
  const type = `import(${JSON.stringify(join(TYPES, moduleOf(object) ?? ''))}).${object.kind}`;
  return `export const object${i}: ${type} =\n${JSON.stringify(object)};\n`;
}

function readProblems(error: unknown, objects: readonly Manifest[]): string[] {
  const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
  const problems = Array.from(output.matchAll(/^.*objects\.ts\((\d+),\d+\): error (.*)$/gm), ([, line, text]) => {
    const object = objects[Math.floor((Number(line) - 1) / 2)];
    return `${object === undefined ? '?' : placeOf(object)}: ${text}`;
  });
  // Without a problem that it names, the compiler itself did not run: that must not count as a good result.
  if (problems.length === 0)
    throw new Failure('INTERNAL', `the TypeScript compiler failed: ${output || String(error)}`, {
      reason: 'TYPE_CHECK_FAILED',
      cause: error,
    });
  return problems;
}
