import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureCatalogue } from '@meridian/models';
import { parseTopology, type Topology } from '@meridian/topology';
import { fetchSamplePhotographs, findNatsServer } from './nats-binary.ts';
import { statePaths } from './paths.ts';
import type { Progress } from './progress.ts';
import { readSamples, type Sample } from './samples.ts';

export interface Provisioned {
  readonly topology: Topology;
  readonly natsServer: string;
  readonly samples: readonly Sample[];
  /** Why there are no samples, for people; empty when there are. */
  readonly samplesProblem: string;
}

export interface ProvisionOptions {
  readonly repository: string;
  readonly stateRoot: string;
  /** Folder with photographs and a samples.yaml; empty for Debian's. */
  readonly samplesDirectory: string;
  readonly natsServer: string | undefined;
  readonly path: string;
}

/** Everything that a local run needs, fetched into the state folder where it is missing. */
export async function provision(options: ProvisionOptions, progress: Progress): Promise<Provisioned> {
  const packageScript = join(options.repository, 'tools', 'provision', 'debian-package.sh');
  const topology = parseTopology(await readFile(join(options.repository, 'regions.yaml'), 'utf8'));
  const natsServer = await progress.step('nats-server: finding or downloading', () =>
    findNatsServer({ explicit: options.natsServer, path: options.path, stateRoot: options.stateRoot, packageScript }),
  );
  const photographs = await progress.step('sample photographs', () => samplesOf(options, packageScript));
  await progress.step('models: obtaining and converting', () =>
    ensureCatalogue({
      directory: statePaths(options.stateRoot).models,
      onProgress: (text) => progress.say(`models: ${text}`),
    }),
  );
  return { topology, natsServer, ...photographs };
}

async function samplesOf(
  options: ProvisionOptions,
  packageScript: string,
): Promise<Pick<Provisioned, 'samples' | 'samplesProblem'>> {
  if (options.samplesDirectory !== '') {
    const list = join(options.samplesDirectory, 'samples.yaml');
    return { samples: await readSamples(list, options.samplesDirectory), samplesProblem: '' };
  }
  const fetched = await fetchSamplePhotographs({ stateRoot: options.stateRoot, packageScript });
  if ('problem' in fetched) return { samples: [], samplesProblem: fetched.problem };
  const list = join(options.repository, 'infra', 'local', 'samples.yaml');
  return { samples: await readSamples(list, fetched.directory), samplesProblem: '' };
}
