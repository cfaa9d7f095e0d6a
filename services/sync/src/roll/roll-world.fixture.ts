import {
  type AliasEntry,
  type AliasRoll,
  type AliasTarget,
  type Evidence,
  isInRoll,
  NO_EVIDENCE,
  type PhaseName,
  phaseOf,
  type RegionPhase,
  targetIn,
} from '@meridian/replica';
import { Contact } from './contact.ts';
import { decideRoll, leftOut } from './decide-roll.ts';
import { backRecord, type RollRequest, settledRecord, startedRecord } from './plan-roll.ts';

/** How a region's workers get on with one model. */
export type Behaviour = 'good' | 'wrong' | 'slow' | 'failing';

export const OLD: AliasTarget = { model: 'old', digest: 'sha256:old' };
export const STEP_MS = 200;
const BASELINE: Evidence = { tasks: 100, errors: 0, p95Ms: 10 };
const TASKS_A_STEP = 20;

/** A version of the alias record: the highest stamp wins, as the highest HLC does. */
interface Stamped {
  readonly roll: AliasRoll;
  readonly stamp: number;
  /** Stamps that its writer had seen: those are superseded. */
  readonly seen: ReadonlySet<number>;
}

/** One region with its own view of the shared state. */
export class WorldRegion {
  readonly name: string;
  readonly contact = new Contact();
  records: readonly Stamped[] = [];
  readonly phases = new Map<string, RegionPhase>();
  /** Rises when the region is added again. */
  generation = 0;
  /** By model; what is not named is good. */
  readonly behaviours = new Map<string, Behaviour>();
  readonly served: string[] = [];
  tasks = 0;

  constructor(name: string) {
    this.name = name;
  }

  get entry(): AliasEntry {
    const sorted = [...this.records].sort((a, b) => b.stamp - a.stamp).map(({ roll }) => roll);
    const [winner, ...losers] = sorted;
    if (winner === undefined) throw new Error(`${this.name} does not know the alias`);
    return { roll: winner, losers, phases: this.phases };
  }

  get target(): AliasTarget {
    const { roll, phases } = this.entry;
    return targetIn(roll, phases, this.name);
  }

  get phase(): PhaseName | undefined {
    const { roll, phases } = this.entry;
    return phaseOf(roll, phases, this.name)?.phase;
  }

  behaviour(model: string): Behaviour {
    return this.behaviours.get(model) ?? 'good';
  }
}

/** Several regions that roll one alias: views of their own, links that can be cut, virtual time. */
export class RollWorld {
  readonly regions: readonly WorldRegion[];
  readonly #cut = new Set<string>();
  /** Removed, with the last that anybody who stays knew of their phases. */
  readonly #removed = new Map<string, RegionPhase | undefined>();
  nowMs = 0;
  #stamps = 0;

  constructor(names: readonly string[]) {
    this.regions = names.map((name) => new WorldRegion(name));
    const first = this.#stamp(settledRecord('detector', OLD, { rollId: 'first', region: '', startedMs: 0 }), []);
    for (const region of this.regions) region.records = [first];
  }

  at(name: string): WorldRegion {
    const found = this.regions.find((region) => region.name === name);
    if (found === undefined) throw new Error(`no region ${name}`);
    return found;
  }

  cut(a: string, b: string): void {
    this.#cut.add([a, b].sort().join());
  }

  cutOff(name: string): void {
    for (const other of this.regions) if (other.name !== name) this.cut(name, other.name);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** Nobody listens to it any more; each of the others has told the rest how far it had. */
  remove(name: string): void {
    const known = this.members.filter((one) => one.name !== name).map(({ phases }) => phases.get(name));
    const last = known.reduce((a, b) => ((a?.sinceMs ?? -1) >= (b?.sinceMs ?? -1) ? a : b), undefined);
    this.#removed.set(name, last);
  }

  /** It begins anew, with what all the others have. */
  add(name: string): void {
    const region = this.at(name);
    region.generation++;
    region.records = [];
    region.phases.clear();
    for (const other of this.members) this.#tell(other, region);
    this.#removed.delete(name);
  }

  get members(): readonly WorldRegion[] {
    return this.regions.filter(({ name }) => !this.#removed.has(name));
  }

  /** Those that are still in it. */
  regionsOf(roll: AliasRoll): readonly string[] {
    return this.members.filter((one) => isInRoll(roll, one.name, one.generation)).map(({ name }) => name);
  }

  isCut(a: string, b: string): boolean {
    return this.#cut.has([a, b].sort().join());
  }

  /** @throws Failure of the plan */
  start(name: string, model: string, request: Partial<RollRequest> = {}): string {
    const region = this.at(name);
    const target = { model, digest: `sha256:${model}` };
    const full = { waves: [], leaseMs: 2_000, gate: {}, ...request };
    const members = new Map(this.members.map((one) => [one.name, one.generation]));
    const mark = { rollId: `${name}-${++this.#stamps}`, region: name, startedMs: this.nowMs };
    region.records = [this.#stamp(startedRecord(region.entry, target, full, members, mark), region.records)];
    return mark.rollId;
  }

  back(name: string): void {
    const region = this.at(name);
    const mark = { rollId: `${name}-${++this.#stamps}`, region: name, startedMs: this.nowMs };
    region.records = [this.#stamp(backRecord(region.entry, mark), region.records)];
  }

  /** A fifth of a second: what can be heard is heard, then every region decides. */
  step(isLost: (a: string, b: string) => boolean = () => false): void {
    this.nowMs += STEP_MS;
    for (const to of this.members)
      for (const from of this.members)
        if (to !== from && !this.isCut(to.name, from.name) && !isLost(from.name, to.name)) this.#tell(from, to);
    for (const region of this.members) this.#decide(region);
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) this.step();
  }

  #tell(from: WorldRegion, to: WorldRegion): void {
    to.contact.note(from.name, this.nowMs, this.nowMs);
    const all = [...to.records, ...from.records.filter(({ stamp }) => to.records.every((one) => one.stamp !== stamp))];
    to.records = all.filter(({ stamp }) => !all.some(({ seen }) => seen.has(stamp)));
    for (const [name, phase] of from.phases) {
      const known = to.phases.get(name);
      const isForeign = name !== to.name || phase.phase === 'left-out' || this.#removed.has(name);
      if (isForeign && (known === undefined || known.sinceMs < phase.sinceMs)) to.phases.set(name, phase);
    }
  }

  #decide(region: WorldRegion): void {
    const { roll, phases } = region.entry;
    const { model } = roll.new;
    const behaviour = region.behaviour(model);
    if (region.phase === 'serving-new') region.tasks += TASKS_A_STEP;
    else region.tasks = 0;
    const { tasks } = region;
    this.#leaveOut(region);
    for (const other of this.regionsOf(roll))
      if (!region.contact.knows(other)) region.contact.note(other, 0, this.nowMs);
    const isInIt = roll.waves.length === 0 || isInRoll(roll, region.name, region.generation);
    const next = !isInIt
      ? undefined
      : decideRoll(roll, phases, {
          region: region.name,
          isCutOff: region.contact.isCutOff(region.name, this.regionsOf(roll), roll.leaseMs, this.nowMs),
          isLoaded: behaviour !== 'wrong',
          problem: behaviour === 'wrong' ? 'golden picture 1: no cat was found' : '',
          old: BASELINE,
          new: {
            tasks,
            errors: behaviour === 'failing' ? tasks : 0,
            p95Ms: tasks === 0 ? NO_EVIDENCE.p95Ms : behaviour === 'slow' ? 50 : 11,
          },
        });
    if (next !== undefined) region.phases.set(region.name, { ...next, rollId: roll.rollId, sinceMs: this.nowMs });
    region.served.push(region.target.model);
  }

  /** The first of those that stay writes for the others, once it has all that anybody had seen of them. */
  #departed({ name, phases }: WorldRegion): string[] {
    if (this.members.some((other) => other.name < name)) return [];
    const since = (phase: RegionPhase | undefined) => phase?.sinceMs ?? -1;
    return [...this.#removed].filter(([gone, last]) => since(phases.get(gone)) >= since(last)).map(([gone]) => gone);
  }

  #leaveOut(region: WorldRegion): void {
    const { phases, name } = region;
    const { roll } = region.entry;
    const departed = this.#departed(region);
    if (!isInRoll(roll, name, region.generation)) departed.push(name);
    for (const [gone, next] of leftOut(roll, phases, departed))
      phases.set(gone, { ...next, rollId: roll.rollId, sinceMs: this.nowMs });
  }

  #stamp(roll: AliasRoll, before: readonly Stamped[]): Stamped {
    const seen = new Set(before.flatMap((one) => [one.stamp, ...one.seen]));
    return { roll, stamp: ++this.#stamps, seen };
  }
}
