import { Failure } from '@meridian/failure';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import type { Link, Topology } from './topology.ts';

/** A version vector names every region, and has 64 places. */
export const REGIONS_MAX = 64;
/** A file of 64 regions and 2,016 links has about 200 KB. */
const FILE_CHARS_MAX = 2 ** 20;

const name = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'expected 1–63 of a–z, 0–9 and inner hyphens');
const address = z.string().refine(isHostPort, 'expected host:port');

const regionSchema = z.strictObject({
  name,
  latitude: z.number().min(-90).max(90),
  longitude: z.number().min(-180).max(180),
  zone: name,
  capacity: z.number().positive().max(1_000_000),
  leafAddress: address,
  grpcAddress: address,
});

const linkSchema = z.strictObject({
  between: z.tuple([name, name]).readonly(),
  roundTripMs: z.number().min(0).max(10_000),
  bandwidthMbps: z.number().positive().max(1_000_000),
});

const topologySchema = z.strictObject({
  regions: z.array(regionSchema).min(1).max(REGIONS_MAX),
  links: z.array(linkSchema).default([]),
});

/**
 * Reads regions.yaml (its fields: `Region` and `Link`). Unknown fields are refused.
 * @throws Failure INVALID_ARGUMENT / TOPOLOGY_INVALID naming every field that is wrong. Not retryable.
 */
export function parseTopology(text: string): Topology {
  const parsed = topologySchema.safeParse(parseYaml(text));
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => `${pathOf(issue.path)}: ${issue.message}`));
  const problems = [...regionProblems(parsed.data), ...linkProblems(parsed.data)];
  if (problems.length > 0) throw invalid(problems);
  return parsed.data;
}

/** Inverse of {@link parseTopology}. */
export function formatTopology(topology: Topology): string {
  return stringify(topology, { lineWidth: 0, aliasDuplicateObjects: false });
}

function parseYaml(text: string): unknown {
  if (text.length > FILE_CHARS_MAX) throw invalid([`longer than ${FILE_CHARS_MAX} characters`]);
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw invalid([`not YAML: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`]);
  }
}

function regionProblems({ regions }: Topology): string[] {
  const first = new Map<string, number>();
  return regions.flatMap((region, i) => {
    const earlier = first.get(region.name);
    if (earlier !== undefined) return [`regions[${i}].name: ${region.name} is already regions[${earlier}]`];
    first.set(region.name, i);
    return [];
  });
}

function linkProblems({ regions, links }: Topology): string[] {
  const names = new Set(regions.map((region) => region.name));
  const linked = new Map<string, number>();
  const problems: string[] = [];
  for (const [i, { between }] of links.entries()) {
    for (const end of new Set(between))
      if (!names.has(end)) problems.push(`links[${i}].between: there is no region ${end}`);
    if (between[0] === between[1]) problems.push(`links[${i}].between: a link joins two different regions`);
    const earlier = linked.get(pair(between));
    if (earlier !== undefined) problems.push(`links[${i}].between: ${between.join(' and ')} have links[${earlier}]`);
    else linked.set(pair(between), i);
  }
  return [...problems, ...missingPairs([...names], linked)];
}

function missingPairs(names: readonly string[], linked: ReadonlyMap<string, number>): string[] {
  const problems: string[] = [];
  for (const [i, a] of names.entries())
    for (const b of names.slice(i + 1))
      if (!linked.has(pair([a, b]))) problems.push(`links: ${a} and ${b} have no link`);
  return problems;
}

function pair(between: Link['between']): string {
  return [...between].sort().join(' ');
}

function pathOf(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'file';
  return path
    .map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i > 0 ? '.' : ''}${String(step)}`))
    .join('');
}

function isHostPort(text: string): boolean {
  const match = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})$/.exec(text);
  return match !== null && Number(match[1]) >= 1 && Number(match[1]) <= 65_535;
}

function invalid(problems: readonly string[]): Failure {
  return new Failure('INVALID_ARGUMENT', `the topology is not valid: ${problems.join('; ')}`, {
    reason: 'TOPOLOGY_INVALID',
  });
}
