import { Failure } from '@meridian/failure';
import { parse } from 'yaml';
import { z } from 'zod';
import { DAY_MS, HOME_MS, roundTrips, type Scenario, type Shape, shaped, tripsOfTask } from './scenario.ts';

/** An event of the simulation has one byte for its region. */
const SCENARIO_REGIONS_MAX = 200;
/** Tasks of a run; they are drawn before it, 21 bytes each, and each policy takes eight more. */
const SCENARIO_TASKS_MAX = 20_000_000;
const SCENARIO_CHARS_MAX = 2 ** 20;
const WORKERS_MAX = 10_000;

const name = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'expected 1–63 of a–z, 0–9 and inner hyphens');

const regionSchema = z.strictObject({
  name,
  latitude: z.number().min(-90).max(90),
  longitude: z.number().min(-180).max(180),
  workers: z.int().min(0).max(WORKERS_MAX),
  weight: z.number().min(0).max(1_000_000),
});

const eventSchema = z.strictObject({
  region: name,
  /** Parts of the day of 300 s. */
  from: z.number().min(0).max(1),
  until: z.number().min(0).max(1),
  demandFactor: z.number().min(0).max(100).default(1),
  workersFactor: z.number().min(0).max(1).default(1),
});

const scenarioSchema = z.strictObject({
  name: z.string().min(1).max(60),
  regions: z.array(regionSchema).min(1).max(SCENARIO_REGIONS_MAX),
  /** Without any, round trips come from the coordinates. */
  links: z
    .array(z.strictObject({ between: z.tuple([name, name]), roundTripMs: z.number().min(0).max(10_000) }))
    .optional(),
  /** Of one task; for what a service that forwards pictures takes, 1. Meridian takes TASK_ROUND_TRIPS. */
  roundTripsPerTask: z.number().min(1).max(4).default(1),
  utilization: z.number().positive().max(10),
  amplitude: z.number().min(0).max(1).default(0),
  meanServiceMs: z.number().min(0.1).max(100_000).default(30),
  serviceCv: z.number().min(0).max(10).default(0.8),
  sizePart: z.number().min(0).max(1).default(0),
  durationS: z
    .number()
    .positive()
    .max(86_400)
    .default(DAY_MS / 1_000),
  events: z.array(eventSchema).max(100).default([]),
});
type ScenarioFile = z.infer<typeof scenarioSchema>;

/**
 * Reads a scenario file (docs/simulation.md). Unknown fields are refused.
 * @throws Failure INVALID_ARGUMENT / SCENARIO_INVALID naming every field that is wrong; SCENARIO_INFEASIBLE when there is more
 *   demand than all regions could ever answer. Not retryable.
 */
export function parseScenario(text: string): Scenario {
  const parsed = scenarioSchema.safeParse(parseYaml(text));
  if (!parsed.success)
    throw invalid(parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'file'}: ${message}`));
  const file = parsed.data;
  const problems = [...nameProblems(file), ...linkProblems(file), ...eventProblems(file), ...sizeProblems(file)];
  if (problems.length > 0) throw invalid(problems);
  const fixed = {
    ...{
      name: file.name,
      regions: file.regions,
      meanServiceMs: file.meanServiceMs,
      serviceCv: file.serviceCv,
      sizePart: file.sizePart,
    },
    ...{ durationMs: file.durationS * 1_000, roundTripMs: tripsOfTask(tripsOf(file), file.roundTripsPerTask) },
  };
  const scenario = shaped(fixed, shapeOfFile(file));
  requireFeasible(scenario);
  return scenario;
}

function parseYaml(text: string): unknown {
  if (text.length > SCENARIO_CHARS_MAX) throw invalid([`longer than ${SCENARIO_CHARS_MAX} characters`]);
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw invalid([`not YAML: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`]);
  }
}

function nameProblems({ regions }: ScenarioFile): string[] {
  const names = regions.map((region) => region.name);
  return names.filter((each, at) => names.indexOf(each) !== at).map((each) => `regions: there are two ${each}`);
}

function linkProblems({ regions, links }: ScenarioFile): string[] {
  if (links === undefined) return [];
  const names = regions.map((region) => region.name);
  const problems = links.flatMap(({ between }, at) =>
    between.filter((end) => !names.includes(end)).map((end) => `links.${at}.between: there is no region ${end}`),
  );
  const linked = new Set(links.map(({ between }) => pair(...between)));
  for (const [at, a] of names.entries())
    for (const b of names.slice(at + 1))
      if (!linked.has(pair(a, b))) problems.push(`links: ${a} and ${b} have no link`);
  if (linked.size < links.length) problems.push('links: two of them join the same regions');
  return problems;
}

function eventProblems({ regions, events }: ScenarioFile): string[] {
  return events.flatMap(({ region, from, until }, at) => [
    ...(regions.some((each) => each.name === region) ? [] : [`events.${at}.region: there is no region ${region}`]),
    ...(from < until ? [] : [`events.${at}: it ends before it begins`]),
  ]);
}

function sizeProblems({ sizePart, serviceCv }: ScenarioFile): string[] {
  return sizePart <= serviceCv ? [] : ['sizePart: by sizes alone service times would vary more than serviceCv says'];
}

function shapeOfFile({ regions, utilization, amplitude, events }: ScenarioFile): Shape {
  const numbered = events.map((event) => ({
    ...event,
    region: regions.findIndex(({ name: each }) => each === event.region),
  }));
  return { utilization, amplitude, events: numbered };
}

function tripsOf({ regions, links }: ScenarioFile): Scenario['roundTripMs'] {
  if (links === undefined) return roundTrips(regions);
  const trips = new Map(links.map(({ between, roundTripMs }) => [pair(...between), roundTripMs]));
  const table = regions.map((a) => regions.map((b) => (a === b ? HOME_MS : (trips.get(pair(a.name, b.name)) ?? 0))));
  return (origin, region) => table[origin]?.[region] ?? 0;
}

/** Queues may grow for a while, not for good: all that begins in a run must be work that its workers could do in that time. */
function requireFeasible({ name: called, regions, demand, workers, durationMs, meanServiceMs }: Scenario): void {
  let [tasks, possible] = [0, 0];
  const stepMs = durationMs / STEPS;
  for (let at = 0; at < STEPS; at++)
    for (const [j] of regions.entries()) {
      const timeMs = (at + 0.5) * stepMs;
      tasks += (demand(j, timeMs) * stepMs) / 1_000;
      possible += (workers(j, timeMs) * stepMs) / meanServiceMs;
    }
  if (tasks > SCENARIO_TASKS_MAX) throw invalid([`${Math.round(tasks)} tasks are more than ${SCENARIO_TASKS_MAX}`]);
  if (tasks < possible) return;
  throw new Failure(
    'INVALID_ARGUMENT',
    `${called} is infeasible: ${Math.round(tasks)} tasks begin, and all regions together can answer ${Math.round(possible)} in that time`,
    { reason: 'SCENARIO_INFEASIBLE' },
  );
}

const STEPS = 1_000;

function pair(a: string, b: string): string {
  return [a, b].sort().join(' ');
}

function invalid(problems: readonly string[]): Failure {
  return new Failure('INVALID_ARGUMENT', `the scenario is not valid: ${problems.join('; ')}`, {
    reason: 'SCENARIO_INVALID',
  });
}
