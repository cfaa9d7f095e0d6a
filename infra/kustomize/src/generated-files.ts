import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '@meridian/failure';
import { parseTopology, type Topology } from '@meridian/topology';
import { parse } from 'yaml';
import { z } from 'zod';
import { type BaseFolder, readBase } from './base-folder.ts';
import { taskAutoscaler } from './keda.ts';
import { overlay, yaml } from './overlay.ts';

/** What the generated files are made from. */
export interface Sources {
  readonly repository: string;
  readonly topology: Topology;
  readonly base: BaseFolder;
}

export async function readSources(repository: string): Promise<Sources> {
  const topology = parseTopology(await readFile(join(repository, 'regions.yaml'), 'utf8'));
  return { repository, topology, base: await readBase(repository) };
}

/** All generated files below `infra/kustomize`, by their path there. */
export async function generatedFiles({ repository, topology, base }: Sources): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const tag = await versionOf(repository);
  for (const { name } of topology.regions)
    for (const [path, text] of overlay(topology, name, base, tag)) files.set(join('overlays', name, path), text);
  files.set('components/keda/autoscaler.yaml', yaml(taskAutoscaler(await catalogueModels(repository))));
  return files;
}

/** Writes what differs, and removes overlays of regions that are no more. */
export async function writeGenerated(sources: Sources): Promise<void> {
  const root = join(sources.repository, 'infra', 'kustomize');
  for (const path of await strays(root, await generatedFiles(sources))) await rm(join(root, path));
  for (const [path, text] of await generatedFiles(sources)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

/** @throws Failure FAILED_PRECONDITION / OVERLAYS_STALE that names the files. */
export async function requireGenerated(sources: Sources): Promise<void> {
  const root = join(sources.repository, 'infra', 'kustomize');
  const files = await generatedFiles(sources);
  const stale = await strays(root, files);
  for (const [path, text] of files)
    if ((await readFile(join(root, path), 'utf8').catch(() => '')) !== text) stale.push(path);
  if (stale.length === 0) return;
  const message = `not what regions.yaml, subjects and schemas give: ${stale.join(', ')}; run \`make overlays\` and commit the result`;
  throw new Failure('FAILED_PRECONDITION', message, { reason: 'OVERLAYS_STALE' });
}

async function strays(root: string, files: ReadonlyMap<string, string>): Promise<string[]> {
  const found = await readdir(join(root, 'overlays'), { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return paths.map((path) => path.slice(root.length + 1)).filter((path) => !files.has(path));
}

async function versionOf(repository: string): Promise<string> {
  const text = await readFile(join(repository, 'package.json'), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

async function catalogueModels(repository: string): Promise<string[]> {
  const folder = join(repository, 'models', 'catalogue');
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml')).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return texts.map((text) => z.object({ name: z.string() }).parse(parse(text)).name);
}
