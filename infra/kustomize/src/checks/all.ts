import { brokers } from './brokers.ts';
import { hardening } from './hardening.ts';
import { ports } from './ports.ts';
import { programs } from './programs.ts';
import { references } from './references.ts';
import type { Check, Rendered } from './rendered.ts';
import { running } from './running.ts';
import { selectors } from './selectors.ts';

const CHECKS: readonly Check[] = [selectors, references, ports, programs, brokers, hardening, running];

/** What is wrong among the objects of a rendering, in words; what is wrong inside of one is `typeProblems`. */
export async function crossProblems(rendered: Rendered): Promise<string[]> {
  const found = await Promise.all(CHECKS.map((check) => check(rendered)));
  return [...new Set(found.flat())];
}
