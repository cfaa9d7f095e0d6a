import { crossProblems } from './checks/all.ts';
import { type Combination, combinationsOf, describe } from './combination.ts';
import { requireGenerated, type Sources } from './generated-files.ts';
import { type Manifest, parseManifests } from './manifest.ts';
import { typeProblems } from './object-types.ts';
import { IMAGES } from './overlay.ts';
import { render } from './render.ts';
import { secretKeys } from './secret-names.ts';

/** kubectl processes at a time: each takes a core. */
const RENDERINGS_AT_ONCE = 2;

export interface Validation {
  readonly combinations: number;
  /** Different ones: those that several combinations share are counted once. */
  readonly objects: number;
  /** Each with the combinations in which it was found first. */
  readonly problems: readonly string[];
}

/**
 * Renders every supported combination and judges what comes out. Needs kubectl, and no cluster.
 * @throws Failure KUBECTL_MISSING, RENDER_FAILED or OVERLAYS_STALE.
 */
export async function validate(sources: Sources, stateRoot: string): Promise<Validation> {
  await requireGenerated(sources);
  const combinations = sources.topology.regions.flatMap(({ name }) => combinationsOf(name));
  const objects = new Map<string, Manifest>();
  const problems = new Map<string, string>();
  const waiting = [...combinations];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const rendered = parseManifests(await render(next, { ...sources, stateRoot }));
      for (const one of rendered) objects.set(JSON.stringify(one), one);
      for (const problem of await problemsIn(sources, next, rendered))
        if (!problems.has(problem)) problems.set(problem, describe(next));
    }
  };
  await Promise.all(Array.from({ length: RENDERINGS_AT_ONCE }, work));
  const found = await typeProblems([...objects.values()], { stateRoot });
  const crossed = Array.from(problems, ([problem, where]) => `${where}: ${problem}`);
  return { combinations: combinations.length, objects: objects.size, problems: [...found, ...crossed] };
}

/** Of one rendering, without its types. */
export function problemsIn(sources: Sources, { region }: Combination, objects: readonly Manifest[]): Promise<string[]> {
  const { repository, topology, base } = sources;
  return crossProblems({ repository, objects, secrets: secretKeys(topology, region, base), images: IMAGES });
}
