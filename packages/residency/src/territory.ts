import { isIn, type PlacedRegion, type ResidencyRule } from './rule.ts';
import { formatRule } from './rule-text.ts';

/** A rule, and whose it is: goes into reasons as it is. */
export interface NamedRule {
  /** E.g. `tenant acme` or `the call`. */
  readonly of: string;
  readonly rule: ResidencyRule;
}

/**
 * What rules together leave of the regions. Immutable.
 *
 * 1. A region is allowed when every `only` names it and no `never` does: a further rule takes regions away or changes
 *    nothing, it never gives one back.
 * 2. Every preferred region is allowed.
 * 3. For each region that is not allowed there is a reason, and for no other.
 */
export interface Territory {
  /** Some rule says where: false only where no `only` and no `never` is in force. */
  readonly isRestricted: boolean;
  readonly allowed: ReadonlySet<string>;
  /** To be taken first. Empty: no preference. */
  readonly preferred: ReadonlySet<string>;
  /** Why each of the other regions is not allowed. */
  readonly reasons: ReadonlyMap<string, string>;
}

/**
 * Combines rules, the tenant's before the call's. Of preferences the last one that leaves an allowed region counts: who
 * asks knows better than his tenant what is good for this work, within what the tenant allows.
 *
 * Never throws: a rule that leaves nothing has an empty `allowed`. Places that no region has match nothing; `checkRule`
 * refuses them where rules are written and sent.
 */
export function territoryOf(rules: readonly NamedRule[], regions: readonly PlacedRegion[]): Territory {
  const reasons = new Map<string, string>();
  for (const region of regions) {
    const reason = exclusionBy(rules, region);
    if (reason !== undefined) reasons.set(region.name, reason);
  }
  const left = regions.filter(({ name }) => !reasons.has(name));
  return {
    isRestricted: rules.some(({ rule }) => rule.only !== undefined || rule.never !== undefined),
    allowed: names(left),
    preferred: preferredOf(rules, left),
    reasons,
  };
}

/** Nothing is allowed, for a reason that is no rule, e.g. that the tenant's cannot be read. */
export function closedTerritory(reason: string, regions: readonly PlacedRegion[]): Territory {
  return {
    isRestricted: true,
    allowed: new Set(),
    preferred: new Set(),
    reasons: new Map(regions.map(({ name }) => [name, reason])),
  };
}

function exclusionBy(rules: readonly NamedRule[], region: PlacedRegion): string | undefined {
  for (const { of, rule } of rules) {
    const { only, never } = rule;
    if (never !== undefined && isIn(never, region)) return `${of}: ${formatRule({ never })}`;
    if (only !== undefined && !isIn(only, region)) return `${of}: ${formatRule({ only })}`;
  }
  return undefined;
}

function preferredOf(rules: readonly NamedRule[], left: readonly PlacedRegion[]): ReadonlySet<string> {
  for (const { rule } of rules.toReversed()) {
    const { prefer } = rule;
    const found = prefer === undefined ? [] : left.filter((region) => isIn(prefer, region));
    if (found.length > 0) return names(found);
  }
  return new Set();
}

function names(regions: readonly PlacedRegion[]): ReadonlySet<string> {
  return new Set(regions.map(({ name }) => name));
}
