import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** A bug, as a change of the text of one source file. */
export interface Mutant {
  readonly name: string;
  /** A source file, or a folder of them, from the repository's root. */
  readonly place: string;
  /** Is there exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What goes wrong in the terms of the reference (reliability.md §4, or our own). */
  readonly bug: string;
  /** Found within a few seeds: CI plants it at each run. */
  readonly isQuick?: boolean;
}

export interface Planted {
  readonly file: string;
  readonly source: string;
}

const REPOSITORY = path.resolve(import.meta.dirname, '../../..');

/** @throws Error when the text is not there exactly once: the source has changed, and the mutant must follow. */
export function planted({ name, place, find, replace }: Mutant): Planted {
  const found: Planted[] = [];
  let places = 0;
  for (const file of filesIn(path.join(REPOSITORY, place))) {
    const parts = readFileSync(file, 'utf8').split(find);
    places += parts.length - 1;
    if (parts.length > 1) found.push({ file, source: parts.join(replace) });
  }
  const [only] = found;
  if (places !== 1 || only === undefined)
    throw new Error(`mutant ${name}: ${places} places in ${place} read ${JSON.stringify(find)}`);
  return only;
}

function filesIn(place: string): string[] {
  if (statSync(place).isFile()) return [place];
  const names = readdirSync(place).filter((name) => name.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(name));
  return names.map((name) => path.join(place, name));
}
