import type { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { type Manifest, modelDigest } from '@meridian/models';
import {
  ALIAS_PREFIX,
  type AliasEntry,
  AliasIndex,
  type AliasRoll,
  type AliasTarget,
  aliasKey,
  encodeAlias,
  MODEL_PREFIX,
  ModelIndex,
  ROLL_PREFIX,
} from '@meridian/replica';
import type { Clock, Random } from '@meridian/runtime';
import type { Cause } from '../replication/protocol.ts';
import type { Members } from '../replicator/members.ts';
import type { Replicator } from '../replicator/replicator.ts';
import { backRecord, type RecordMark, type RollRequest, settledRecord, startedRecord } from './plan-roll.ts';

export interface RollsOptions {
  readonly region: string;
  readonly members: Pick<Members, 'active' | 'generationOf'>;
  readonly replicator: Pick<Replicator, 'entries' | 'write' | 'vector'>;
  readonly clock: Clock;
  readonly random: Random;
}

/** Who asks. */
export interface Caller {
  readonly author: string;
  readonly cause: Cause | undefined;
}

interface Known {
  readonly aliases: AliasIndex;
  readonly models: ModelIndex;
}

/** Each is a key of the shared state, and one more for each region. */
export const ALIASES_MAX = 256;
const ALIAS = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const WRITE_TIMEOUT_MS = 10_000;

/**
 * What operators do with aliases.
 *
 * 1. Changes happen one after the other: each is decided with what the one before has written.
 * 2. Aliases and models share one namespace. Two regions that do not hear of each other can break that; then the model
 *    has the name.
 */
export class Rolls {
  readonly #o: RollsOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: RollsOptions) {
    this.#o = options;
  }

  get vector(): VersionVector {
    return this.#o.replicator.vector;
  }

  all(): readonly AliasEntry[] {
    const { aliases } = this.#read();
    return aliases
      .names()
      .map((name) => aliases.get(name))
      .filter((entry) => entry !== undefined);
  }

  /** @throws Failure NOT_FOUND / ALIAS_UNKNOWN */
  get(alias: string): AliasEntry {
    return aliasIn(this.#read().aliases, alias);
  }

  /**
   * @throws Failure ALREADY_EXISTS (NAME_TAKEN by a model, ALIAS_EXISTS with another meaning), NOT_FOUND / MODEL_UNKNOWN,
   *   INVALID_ARGUMENT / ALIAS_INVALID, RESOURCE_EXHAUSTED / TOO_MANY_ALIASES
   */
  create(alias: string, model: string, caller: Caller): Promise<AliasEntry> {
    return this.#change(caller, ({ aliases, models }) => {
      if (!ALIAS.test(alias))
        throw new Failure('INVALID_ARGUMENT', 'alias: expected 1–63 of a–z, 0–9 and inner hyphens', {
          reason: 'ALIAS_INVALID',
        });
      if (models.model(alias) !== undefined)
        throw new Failure('ALREADY_EXISTS', `${alias} is the name of a model: take another one`, {
          reason: 'NAME_TAKEN',
        });
      const target = targetOf(models, model);
      const existing = aliases.get(alias);
      if (existing === undefined) {
        if (aliases.names().length >= ALIASES_MAX) throw tooMany();
        return settledRecord(alias, target, this.#mark());
      }
      const { roll } = existing;
      if (roll.waves.length === 0 && roll.new.digest === target.digest) return roll;
      throw new Failure('ALREADY_EXISTS', `${alias} is an alias of ${roll.new.model}: move it with \`models roll\``, {
        reason: 'ALIAS_EXISTS',
      });
    });
  }

  /** @throws Failure of {@link startedRecord}; NOT_FOUND (ALIAS_UNKNOWN, MODEL_UNKNOWN) */
  begin(alias: string, model: string, request: RollRequest, caller: Caller): Promise<AliasEntry> {
    const { members } = this.#o;
    return this.#change(caller, ({ aliases, models }) => {
      const regions = new Map(members.active.map((region) => [region, members.generationOf(region)]));
      return startedRecord(aliasIn(aliases, alias), targetOf(models, model), request, regions, this.#mark());
    });
  }

  /** @throws Failure FAILED_PRECONDITION / NOTHING_TO_GO_BACK_TO, NOT_FOUND / ALIAS_UNKNOWN */
  back(alias: string, caller: Caller): Promise<AliasEntry> {
    return this.#change(caller, ({ aliases }) => backRecord(aliasIn(aliases, alias), this.#mark()));
  }

  /**
   * Whether a model may be added under its name: neither an alias's, nor that of a version which an alias still means or
   * may go back to. Such a version would be lost to workers that start later.
   * @throws Failure ALREADY_EXISTS / NAME_TAKEN, FAILED_PRECONDITION / MODEL_IN_USE
   */
  requireFree(manifest: Manifest): void {
    const { aliases, models } = this.#read();
    const { name } = manifest;
    if (aliases.get(name) !== undefined)
      throw new Failure('ALREADY_EXISTS', `${name} is the name of an alias: take another one`, {
        reason: 'NAME_TAKEN',
      });
    const current = models.model(name);
    if (current === undefined || current.digest === modelDigest(manifest)) return;
    const alias = userOf(aliases, current.digest);
    if (alias === undefined) return;
    const message = `the alias ${alias} needs this version of ${name}: add the other one under a name of its own, and roll ${alias} to it`;
    throw new Failure('FAILED_PRECONDITION', message, { reason: 'MODEL_IN_USE' });
  }

  /**
   * Whether a model may be removed: no alias means its version, or may go back to it.
   * @throws Failure FAILED_PRECONDITION / MODEL_IN_USE
   */
  requireUnused(name: string): void {
    const { aliases, models } = this.#read();
    const current = models.model(name);
    const alias = current && userOf(aliases, current.digest);
    if (alias === undefined) return;
    const message = `the alias ${alias} needs ${name}: roll ${alias} to another model first; removing it nevertheless takes force`;
    throw new Failure('FAILED_PRECONDITION', message, { reason: 'MODEL_IN_USE' });
  }

  #change(caller: Caller, plan: (state: Known) => AliasRoll): Promise<AliasEntry> {
    const changed = this.#last.then(async () => {
      const roll = plan(this.#read());
      const { author, cause } = caller;
      const change = { key: aliasKey(roll.alias), value: encodeAlias(roll), when: 'differs', author } as const;
      await this.#o.replicator.write(change, { timeoutMs: WRITE_TIMEOUT_MS, cause });
      return this.get(roll.alias);
    });
    this.#last = changed.catch(() => undefined);
    return changed;
  }

  #read(): Known {
    const [aliases, models] = [new AliasIndex(), new ModelIndex()];
    for (const prefix of [ALIAS_PREFIX, ROLL_PREFIX])
      for (const entry of this.#o.replicator.entries(prefix)) aliases.update(entry);
    for (const entry of this.#o.replicator.entries(MODEL_PREFIX)) models.update(entry);
    return { aliases, models };
  }

  #mark(): RecordMark {
    const { region, clock, random } = this.#o;
    const rollId = random.bigint64().toString(16).padStart(16, '0');
    return { rollId, region, startedMs: Math.round(clock.nowMs()) };
  }
}

/** The first alias that means the version, or may go back to it. */
function userOf(aliases: AliasIndex, digest: string): string | undefined {
  return aliases.names().find((alias) => {
    const roll = aliases.get(alias)?.roll;
    return roll?.old.digest === digest || roll?.new.digest === digest;
  });
}

function aliasIn(aliases: AliasIndex, alias: string): AliasEntry {
  const entry = aliases.get(alias);
  if (entry !== undefined) return entry;
  const name = JSON.stringify(alias.slice(0, 63));
  throw new Failure('NOT_FOUND', `there is no alias ${name}; make it with \`models alias\``, {
    reason: 'ALIAS_UNKNOWN',
  });
}

function targetOf(models: ModelIndex, name: string): AliasTarget {
  const model = models.model(name);
  if (model !== undefined) return { model: model.name, digest: model.digest };
  throw new Failure('NOT_FOUND', `there is no model ${JSON.stringify(name.slice(0, 63))}`, { reason: 'MODEL_UNKNOWN' });
}

function tooMany(): Failure {
  return new Failure('RESOURCE_EXHAUSTED', `there are ${ALIASES_MAX} aliases already`, {
    reason: 'TOO_MANY_ALIASES',
    retryable: false,
  });
}
