import { Failure } from '@meridian/failure';
import { type Replica, type RequiredRecord, tenantKey, type Version } from '@meridian/replica';
import {
  checkRule,
  closedTerritory,
  decodeTenant,
  formatRule,
  isEmptyRule,
  type NamedRule,
  NO_RULE,
  type Places,
  type RegionDoor,
  type ResidencyRule,
  requireAllowed,
  type Territory,
  territoryOf,
} from '@meridian/residency';

/** The rules that a work brings itself, beside its tenant's. */
export interface AskedRules {
  readonly rules: readonly NamedRule[];
  /** Equal for equal rules. */
  readonly text: string;
}

/** What holds for works of one tenant with the same rules, by the tenant's record as it is now. */
export interface Ruling {
  readonly territory: Territory;
  /** The tenant's record, in all its versions, as it was read. */
  readonly requires: readonly RequiredRecord[];
  /** Why there is nothing that holds: then the territory is closed. */
  readonly failure?: Failure;
}

export interface PlacedWork {
  readonly tenant: string;
  readonly asked: AskedRules;
  readonly requires: readonly RequiredRecord[];
}

export interface ResidencyOptions {
  readonly region: string;
  readonly regions: readonly RegionDoor[];
  readonly state: Pick<Replica, 'get' | 'missing'>;
  /** All that the region's sync service knew at the start is here. */
  readonly isCaughtUp: () => boolean;
}

interface Judged {
  /** As the replica had it: it gives the same object until the entry changes. */
  readonly entry: unknown;
  readonly tenant: { readonly rules: readonly NamedRule[]; readonly requires: readonly RequiredRecord[] } | Failure;
  readonly rulings: Map<string, Ruling>;
}

/** Without a record of its own it has no rule. Every other tenant without one is refused. */
const DEFAULT_TENANT = 'public';
/** Judged tenants, and rulings of one, that are remembered. Beyond it all are judged anew. */
const TENANTS_MAX = 1_024;
const RULINGS_MAX = 256;
/** Versions of a tenant's record that nobody has resolved: a claim names all of them. */
const VERSIONS_READ_MAX = 8;
const STARTING_RETRY_MS = 500;

/**
 * Says where work may be, from the tenant's record as this region has it at that moment and from what the work asks for.
 *
 * 1. Fail closed: what is missing, cannot be read, is of a later release or names places that are not there allows nothing.
 * 2. While versions of a record are in conflict, every one of them holds.
 * 3. No work is placed by an older record of its tenant than it was accepted with.
 * 4. The absence of a record means nothing before the replica has caught up, and no rule only for the default tenant.
 */
export class Residency {
  readonly #o: ResidencyOptions;
  readonly #judged = new Map<string, Judged>();

  constructor(options: ResidencyOptions) {
    this.#o = options;
  }

  /**
   * For a placement of a work that was accepted with these records: closed, too, while this region knows an older record of
   * the tenant than it did then. Never throws.
   */
  placementOf({ tenant, asked, requires }: PlacedWork): Ruling {
    const ruling = this.rulingOf(tenant, asked);
    if (ruling.failure !== undefined) return ruling;
    const key = tenantKey(tenant);
    for (const record of requires)
      if (record.key === key && this.#o.state.missing([record]).length > 0)
        return this.#closed(unreadable(tenant, 'the work was accepted with a newer one'), ruling.requires);
    return ruling;
  }

  /** What holds now. Never throws. */
  rulingOf(tenant: string, asked: AskedRules): Ruling {
    const { rulings, tenant: judged } = this.#judge(tenant);
    const known = rulings.get(asked.text);
    if (known !== undefined) return known;
    const ruling = judged instanceof Failure ? this.#closed(judged, []) : this.#rule(judged, asked);
    if (rulings.size >= RULINGS_MAX) rulings.clear();
    rulings.set(asked.text, ruling);
    return ruling;
  }

  /**
   * For what comes in here.
   * @throws Failure FAILED_PRECONDITION / TENANT_UNKNOWN, TENANT_UNREADABLE, RESIDENCY_INFEASIBLE,
   *   RESIDENCY_REGION_NOT_ALLOWED (which names the regions to ask); NOT_FOUND / REGION_UNKNOWN; INVALID_ARGUMENT /
   *   RESIDENCY_RULE_INVALID; UNAVAILABLE / STARTING (retryable).
   */
  requireHere(tenant: string, asked: AskedRules): Ruling {
    const ruling = this.rulingOf(tenant, asked);
    if (ruling.failure !== undefined) throw ruling.failure;
    this.#require(ruling.territory);
    return ruling;
  }

  /** The same before the tenant is known: it can only take further regions away. */
  requireByRules({ rules }: AskedRules): void {
    for (const { rule } of rules) checkRule(rule, this.#o.regions);
    this.#require(territoryOf(rules, this.#o.regions));
  }

  #require(territory: Territory): void {
    requireAllowed(territory, this.#o.region, this.#o.regions);
  }

  #rule({ rules, requires }: Exclude<Judged['tenant'], Failure>, asked: AskedRules): Ruling {
    try {
      for (const { rule } of asked.rules) checkRule(rule, this.#o.regions);
      return { territory: territoryOf([...rules, ...asked.rules], this.#o.regions), requires };
    } catch (error) {
      return this.#closed(Failure.from(error), requires);
    }
  }

  #closed(failure: Failure, requires: readonly RequiredRecord[]): Ruling {
    return { territory: closedTerritory(failure.message, this.#o.regions), requires, failure };
  }

  #judge(tenant: string): Judged {
    const entry = this.#o.state.get(tenantKey(tenant));
    const known = this.#judged.get(tenant);
    if (known !== undefined && known.entry === entry) return known;
    const versions = entry?.versions.filter(({ deleted }) => !deleted) ?? [];
    const judged = { entry, tenant: this.#read(tenant, versions), rulings: new Map() };
    if (entry === undefined && !this.#o.isCaughtUp()) return judged;
    if (this.#judged.size >= TENANTS_MAX) this.#judged.clear();
    this.#judged.set(tenant, judged);
    return judged;
  }

  #read(tenant: string, versions: readonly Version[]): Judged['tenant'] {
    try {
      if (versions.length === 0) return this.#absent(tenant);
      if (versions.length > VERSIONS_READ_MAX) throw unreadable(tenant, `it is in conflict ${versions.length} times`);
      const rules = versions.map(({ value }) => this.#readOne(tenant, value));
      const requires = versions.map(({ dot }) => ({ key: tenantKey(tenant), dot }));
      return { rules: rules.map((rule) => ({ of: `tenant ${tenant}`, rule })), requires };
    } catch (error) {
      return Failure.from(error);
    }
  }

  #absent(tenant: string): Judged['tenant'] {
    if (!this.#o.isCaughtUp())
      throw new Failure(
        'UNAVAILABLE',
        `what is agreed with tenant ${tenant} is not here yet: the scheduler is starting`,
        {
          reason: 'STARTING',
          retryDelayMs: STARTING_RETRY_MS,
        },
      );
    if (tenant === DEFAULT_TENANT) return { rules: [], requires: [] };
    const message = `there is no tenant ${tenant} here: ./meridian tenants set ${tenant} adds it; if that was done elsewhere just now, it is on its way`;
    throw new Failure('FAILED_PRECONDITION', message, { reason: 'TENANT_UNKNOWN', details: { tenant } });
  }

  #readOne(tenant: string, value: Uint8Array): ResidencyRule {
    const { residency } = decodeTenant(tenant, value);
    try {
      checkRule(residency, this.#o.regions);
    } catch (error) {
      throw unreadable(tenant, Failure.from(error).message);
    }
    return residency;
  }
}

/** @param rules with who says each; those that say nothing are left out */
export function askedRules(rules: readonly NamedRule[]): AskedRules {
  const given = rules.filter(({ rule }) => !isEmptyRule(rule));
  return { rules: given, text: given.map(({ of, rule }) => `${of}: ${formatRule(rule)}`).join('\n') };
}

/** The message's residency field: an empty one says nothing. */
export function onlyOf(message: Places | undefined): ResidencyRule {
  const { regions = [], zones = [] } = message ?? {};
  return regions.length + zones.length === 0 ? NO_RULE : { only: { regions, zones } };
}

export const NOTHING_ASKED: AskedRules = { rules: [], text: '' };

function unreadable(tenant: string, why: string): Failure {
  return new Failure('FAILED_PRECONDITION', `the record of tenant ${tenant} cannot be used here: ${why}`, {
    reason: 'TENANT_UNREADABLE',
    details: { tenant },
  });
}
