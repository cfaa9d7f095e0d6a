import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '@meridian/failure';
import { stringify } from 'yaml';
import type { Combination } from './combination.ts';
import { IMAGES, PART_OF } from './overlay.ts';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 64 * 2 ** 20;

export interface RenderOptions {
  readonly repository: string;
  /** Where the kustomization of the combination is put while kubectl reads it. Below it nothing is left. */
  readonly stateRoot: string;
  /** Of the images; default: the version of package.json. */
  readonly tag?: string;
  /** Put before the images' names, such as `registry.example/team/`. */
  readonly registry?: string;
  readonly kubectl?: string;
}

/**
 * All objects of a combination as YAML. Needs kubectl, and no cluster.
 * @throws Failure FAILED_PRECONDITION / KUBECTL_MISSING; INVALID_ARGUMENT / RENDER_FAILED with what kubectl says.
 */
export async function render(combination: Combination, options: RenderOptions): Promise<string> {
  await mkdir(options.stateRoot, { recursive: true });
  const folder = await mkdtemp(join(options.stateRoot, 'render-'));
  try {
    await writeFile(join(folder, 'kustomization.yaml'), stringify(kustomization(combination, folder, options)));
    const { stdout } = await run(options.kubectl ?? 'kubectl', ['kustomize', folder], { maxBuffer: OUTPUT_BYTES_MAX });
    return stdout;
  } catch (error) {
    throw renderFailure(error);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function kustomization({ region, components }: Combination, folder: string, o: RenderOptions): object {
  const path = (...parts: string[]) => relative(folder, join(o.repository, 'infra', 'kustomize', ...parts));
  const isOwn = o.tag !== undefined || o.registry !== undefined;
  return {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: 'meridian',
    labels: [PART_OF],
    resources: [path('overlays', region)],
    components: components.map((name) =>
      name === 'cert-manager' ? path('overlays', region, name) : path('components', name),
    ),
    ...(isOwn && {
      images: IMAGES.map((name) => ({
        name,
        newName: `${o.registry ?? ''}${name}`,
        ...(o.tag !== undefined && { newTag: o.tag }),
      })),
    }),
  };
}

function renderFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return Failure.from(error);
  if ('code' in error && error.code === 'ENOENT')
    return new Failure('FAILED_PRECONDITION', 'there is no kubectl on PATH; 1.27 or later is needed', {
      reason: 'KUBECTL_MISSING',
    });
  const text = 'stderr' in error && String(error.stderr).trim() !== '' ? String(error.stderr).trim() : error.message;
  return new Failure('INVALID_ARGUMENT', text, { reason: 'RENDER_FAILED', cause: error });
}
