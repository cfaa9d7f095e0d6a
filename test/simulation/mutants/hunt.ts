import { spawn } from 'node:child_process';
import path from 'node:path';
import { simulate } from '../run.ts';
import type { Mutant } from './mutant.ts';

export interface Catch {
  /** How many seeds it took; undefined when none of them did. */
  readonly seeds: number | undefined;
  readonly property: string;
  readonly message: string;
}

const HERE = import.meta.dirname;

/**
 * Runs a planted bug on seed after seed until it violates a property. A seed on which the shipped core does so, too, catches
 * nothing.
 */
export async function hunt(mutant: Mutant, firstSeed: number, seedsMax: number): Promise<Catch> {
  for (let passed = 0; passed < seedsMax; ) {
    const found = await run(mutant, firstSeed + passed, seedsMax - passed);
    if (found.seeds === undefined) return found;
    passed += found.seeds;
    if (simulate(firstSeed + passed - 1).violation === undefined) return { ...found, seeds: passed };
  }
  return { seeds: undefined, property: '', message: '' };
}

/** In a process of its own. */
function run(mutant: Mutant, firstSeed: number, seedsMax: number): Promise<Catch> {
  const plant = path.join(HERE, 'plant.ts');
  const args = ['--disable-warning=ExperimentalWarning', '--import', plant, path.join(HERE, 'hunter', 'main.ts')];
  const child = spawn(process.execPath, [...args, String(firstSeed), String(seedsMax)], {
    env: { ...process.env, MUTANT: mutant.name, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(output) as Catch);
      else reject(new Error(`${mutant.name}: ended with ${code}: ${errors.slice(-2_000)}`));
    });
  });
}
