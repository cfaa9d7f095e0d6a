import { currentValue, decodeMember, type Entry, memberKey } from '@meridian/replica';

interface Known {
  readonly key: string;
  readonly entry: Entry | undefined;
  readonly isRemoved: boolean;
}

/**
 * Which regions an operator has removed, by the member records of the own replica. A record that cannot be read removes
 * nobody: a region is taken out by what somebody wrote, never by what nobody understands.
 */
export class Membership {
  readonly #get: (key: string) => Entry | undefined;
  /** By region; entries are immutable, so the same entry means the same answer. */
  readonly #known = new Map<string, Known>();

  constructor(get: (key: string) => Entry | undefined) {
    this.#get = get;
  }

  isRemoved(region: string): boolean {
    const known = this.#known.get(region);
    const key = known?.key ?? memberKey(region);
    const entry = this.#get(key);
    if (known !== undefined && known.entry === entry) return known.isRemoved;
    const value = currentValue(entry);
    const isRemoved = value !== undefined && decodeMember(value)?.isRemoved === true;
    this.#known.set(region, { key, entry, isRemoved });
    return isRemoved;
  }
}
