import { type ClaimFacts, type ClaimState, reservedBytes, usesCredit } from './held-claim.ts';

/**
 * What all held claims together take up, derived from their phases before and after each decision: nothing is counted
 * by hand, so nothing can leak.
 */
export class Ledger {
  /** Bytes of pictures asked for or here. */
  pictureBytes = 0;
  /** Claims whose owner can be reached and that wait for room for their bytes. */
  waitingForRoom = 0;
  /** Claims that wait for records or for their model. */
  waiting = 0;
  /** Claims that wait for their owner's stream. */
  stranded = 0;
  /** Claims whose bytes were asked for and are not here. */
  onTheWay = 0;
  /** Results that their owner has not acknowledged. */
  unacknowledged = 0;

  /** `undefined`: not held before, or no longer. @returns what happens to the credit of the claim's lane. */
  move(facts: ClaimFacts, before: ClaimState | undefined, after: ClaimState): 'taken' | 'released' | 'same' {
    if (before !== undefined) this.#add(facts, before, -1);
    this.#add(facts, after, 1);
    const used = before !== undefined && usesCredit(before.phase);
    const uses = usesCredit(after.phase);
    if (used === uses) return 'same';
    return uses ? 'taken' : 'released';
  }

  #add(facts: ClaimFacts, { phase }: ClaimState, sign: 1 | -1): void {
    this.pictureBytes += sign * reservedBytes(facts, phase);
    if (phase.name === 'reported') this.unacknowledged += sign;
    if (phase.name === 'announced') this.onTheWay += sign;
    if (phase.name === 'waiting') this.waiting += sign;
    if (phase.name !== 'pulled') return;
    if (phase.stranded) this.stranded += sign;
    else this.waitingForRoom += sign;
  }
}
