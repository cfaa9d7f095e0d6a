import { type Dot, VersionVector } from '@meridian/causality';

/** An acknowledged write of one region, with its event. */
export interface Acknowledged {
  readonly id: string;
  readonly dot: Dot;
}

/**
 * Ids of the writes that no other region had when the store was lost: their events lie beyond every head that the others had
 * shown until then.
 * @param writes of the lives of the region's log of which all heads still speak: an ended one leaves the vectors
 */
export function heldByWipedStoreOnly(writes: Iterable<Acknowledged>, heads: readonly VersionVector[]): Set<string> {
  const seen = heads.reduce((all, head) => all.merge(head), VersionVector.EMPTY);
  return new Set([...writes].filter(({ dot }) => !seen.contains(dot)).map(({ id }) => id));
}
