import type { JsonObject } from '@bufbuild/protobuf';
import type { EntryView, VersionView } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { decodeTenant, formatRule } from '@meridian/residency';
import { conflictCount, winnerIn } from './entry.ts';
import { formatDateTime } from './quantity.ts';
import { formatTable } from './table.ts';

const PREFIX = 'tenant/';

export function formatTenants(entries: readonly EntryView[]): string {
  if (entries.length === 0) return 'no tenants but public, which has no rule';
  const rows = entries.map((entry) => {
    const winner = winnerIn(entry);
    const who = winner === undefined ? ['–', '–', '–'] : [winner.region, winner.author || '–', written(winner)];
    const conflict = entry.conflicted ? `  ⚠ ${conflictCount(entry)}: all hold` : '';
    return [nameOf(entry), ...who, `${rulesOf(entry).join('  and  ')}${conflict}`];
  });
  return formatTable(['tenant', 'region', 'by', 'written', 'residency'], rows);
}

/** Every version holds while they are in conflict. */
export function tenantJson(entry: EntryView): JsonObject {
  return { tenant: nameOf(entry), residency: rulesOf(entry), conflicted: entry.conflicted };
}

function rulesOf(entry: EntryView): string[] {
  return entry.versions.filter(({ deleted }) => !deleted).map((version) => ruleIn(nameOf(entry), version));
}

function ruleIn(name: string, { value }: VersionView): string {
  try {
    return formatRule(decodeTenant(name, value).residency) || 'no rule';
  } catch (error) {
    return `unreadable: ${Failure.from(error).message}`;
  }
}

function nameOf({ key }: EntryView): string {
  return key.slice(PREFIX.length);
}

function written({ unixMs }: VersionView): string {
  return formatDateTime(Number(unixMs));
}
