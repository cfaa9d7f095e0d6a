import { readFile } from 'node:fs/promises';
import { type AliasView, type RegionRoll, RollPhase, RollService, RollState } from '@meridian/contracts/roll';
import { StateService } from '@meridian/contracts/state';
import { createClient, type RpcClient } from '@meridian/rpc';
import sharp from 'sharp';
import type { RunningSystem } from '../support/local-system.ts';
import { until } from '../support/region-brokers.ts';
import { type ModelVersion, turnsOf, wrongAnswers } from './answers.ts';
import { ClaimTap } from './claim-tap.ts';
import { Traffic } from './traffic.ts';

export const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;
export type Region = (typeof REGIONS)[number];

const ALIAS = 'detector';
const PHOTOGRAPH = 'astronaut';
const PICTURE_PIXELS = 320;
const WAIT_MS = 90_000;

export interface RollOrder {
  readonly to: ModelVersion;
  readonly waves: readonly (readonly Region[])[];
  readonly leaseMs: number;
  /** Tasks of each model; 0 for the default. */
  readonly tasksMin: number;
  /** Of the new model's p95; 0 for the default. */
  readonly p95Factor: number;
}

/** An alias in three regions of a real system, with clients at each door, and everything seen that is needed to judge. */
export class Trial {
  readonly running: RunningSystem;
  /** What every client sends. */
  readonly picture: Uint8Array;
  readonly versions: ModelVersion[] = [];
  readonly #tap: ClaimTap;
  readonly #rolls: ReadonlyMap<Region, RpcClient<typeof RollService>>;
  readonly #traffic: ReadonlyMap<Region, Traffic>;

  private constructor(
    running: RunningSystem,
    picture: Uint8Array,
    tap: ClaimTap,
    rolls: ReadonlyMap<Region, RpcClient<typeof RollService>>,
    traffic: ReadonlyMap<Region, Traffic>,
  ) {
    this.running = running;
    this.picture = picture;
    this.#tap = tap;
    this.#rolls = rolls;
    this.#traffic = traffic;
  }

  /** @param running with an auditor and all three regions */
  static async open(running: RunningSystem): Promise<Trial> {
    const picture = await photograph(running);
    const rolls = new Map<Region, RpcClient<typeof RollService>>();
    const traffic = new Map<Region, Traffic>();
    for (const region of REGIONS) {
      rolls.set(region, createClient(RollService, await running.syncChannel(region)));
      traffic.set(region, new Traffic(region, await running.channel(region), { picture, model: ALIAS }));
    }
    return new Trial(running, picture, await ClaimTap.start(running.system), rolls, traffic);
  }

  async close(): Promise<void> {
    this.running.system.emulator.heal();
    await Promise.all([...this.#traffic.values()].map((traffic) => traffic.pause()));
    await this.#tap.stop();
  }

  traffic(region: Region): Traffic {
    return this.#traffic.get(region) as Traffic;
  }

  /** Resolves when workers of every region have loaded the versions, as each region sees it. */
  async ready(...versions: readonly ModelVersion[]): Promise<void> {
    this.versions.push(...versions);
    for (const region of REGIONS) {
      const client = createClient(StateService, await this.running.syncChannel(region));
      await until(async () => {
        const { models } = await client.listModels({});
        const missing = versions.filter(({ digest }) => {
          const model = models.find(({ modelDigest }) => modelDigest === digest);
          return !REGIONS.every((one) => model?.readyRegions.includes(one));
        });
        return missing.length === 0 || `${missing.map(({ name }) => name)} not ready, as ${region} sees it`;
      }, WAIT_MS);
    }
  }

  async alias({ name }: ModelVersion): Promise<void> {
    await this.#rolls.get('beijing')?.createAlias({ alias: ALIAS, model: name });
    for (const rolls of this.#rolls.values())
      await until(async () => {
        const { aliases } = await rolls.listAliases({});
        return aliases.some(({ record }) => record?.new?.model === name) || 'the alias is not known everywhere';
      });
  }

  /** @returns its id */
  async begin(region: Region, { to, waves, leaseMs, tasksMin, p95Factor }: RollOrder): Promise<string> {
    const request = {
      ...{ alias: ALIAS, model: to.name, leaseMs: BigInt(leaseMs), gate: { tasksMin, p95Factor } },
      waves: waves.map((regions) => ({ regions: [...regions] })),
    };
    const answer = await this.#rolls.get(region)?.startRoll(request);
    return answer?.alias?.record?.rollId ?? '';
  }

  async back(region: Region): Promise<void> {
    await this.#rolls.get(region)?.rollBack({ alias: ALIAS });
  }

  cutOff(region: Region): void {
    for (const peer of REGIONS) if (peer !== region) this.running.system.emulator.cut(region, peer);
  }

  heal(): void {
    this.running.system.emulator.heal();
  }

  async view(region: Region): Promise<AliasView> {
    const answer = await this.#rolls.get(region)?.getRoll({ alias: ALIAS });
    if (answer?.alias === undefined) throw new Error('no alias');
    return answer.alias;
  }

  /** Keys that the region shows as conflicts. */
  async conflicts(region: Region): Promise<string[]> {
    const client = createClient(StateService, await this.running.syncChannel(region));
    return (await client.listConflicts({})).entries.map(({ key }) => key);
  }

  /** Of `subject`, as `region` knows it. */
  async rowOf(subject: Region, region: Region = subject): Promise<RegionRoll> {
    const row = (await this.view(region)).regions.find((one) => one.region === subject);
    if (row === undefined) throw new Error(`${subject} is not in the roll`);
    return row;
  }

  async phase(subject: Region, phase: RollPhase, seenBy: Region = subject): Promise<void> {
    await until(async () => {
      const row = await this.rowOf(subject, seenBy);
      return row.phase?.phase === phase || `${subject} as ${seenBy} sees it: ${describe(row)}`;
    }, WAIT_MS);
  }

  async everywhere(condition: (view: AliasView) => boolean, what: string): Promise<void> {
    for (const region of REGIONS) await this.holds(region, condition, what);
  }

  async holds(region: Region, condition: (view: AliasView) => boolean, what: string): Promise<void> {
    await until(async () => {
      const view = await this.view(region);
      const rows = view.regions.map((row) => `${row.region}: ${describe(row)}`);
      const state = nameOf(RollState, view.state);
      return condition(view) || `not so in ${region}: ${what}; ${state}\n${rows.join('\n')}`;
    }, WAIT_MS);
  }

  /** Resolves with the next answer of this model at the door. */
  async answers(region: Region, { name }: ModelVersion): Promise<void> {
    const { answers } = this.traffic(region);
    const from = answers.length;
    await until(
      () => answers.slice(from).some(({ model }) => model === name) || `${region} answers by ${answers.at(-1)?.model}`,
      WAIT_MS,
    );
  }

  /** So many answers more at the door. */
  async more(region: Region, count: number): Promise<void> {
    const { answers } = this.traffic(region);
    const wanted = answers.length + count;
    await until(() => answers.length >= wanted || `${answers.length} of ${wanted} answers in ${region}`, WAIT_MS);
  }

  /** Models in the order in which they answered at the door since the mark, which is a number of answers. */
  turns(region: Region, mark = 0): string[] {
    return turnsOf(this.traffic(region).answers.slice(mark));
  }

  mark(region: Region): number {
    return this.traffic(region).answers.length;
  }

  get answered(): number {
    return [...this.#traffic.values()].reduce((sum, { answers }) => sum + answers.length, 0);
  }

  /** Everything that is wrong with anything that was answered so far. */
  async problems(): Promise<string[]> {
    await this.#tap.settled();
    const all = [...this.#traffic.values()];
    const answers = all.flatMap((traffic) => traffic.answers);
    return [...all.flatMap(({ failures }) => failures), ...wrongAnswers(answers, this.#tap.claims, this.versions)];
  }
}

/** A person, small: what is looked at is who answers, not how fast pictures are decoded. */
async function photograph({ provisioned }: RunningSystem): Promise<Buffer> {
  const sample = provisioned.samples.find(({ file }) => file.startsWith(PHOTOGRAPH));
  // Another suite of this process may have taken the loaders of files away.
  return sharp(await readFile(sample?.path ?? ''))
    .resize(PICTURE_PIXELS)
    .jpeg()
    .toBuffer();
}

function describe({ phase, serves }: RegionRoll): string {
  const name = phase === undefined ? 'none' : nameOf(RollPhase, phase.phase);
  return `${name} ${phase?.reason ?? ''}, uses ${serves?.model}`;
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}
