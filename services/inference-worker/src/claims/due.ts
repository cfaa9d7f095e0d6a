import type { ClaimEvent } from './decide.ts';
import type { ClaimFacts, Phase } from './held-claim.ts';

/** A claim of the broker's is renewed after this long, three times within its ack wait. */
export const RENEW_MS = 3_000;
export const ACK_WAIT_MS = 10_000;
/** A result that nobody acknowledged goes back to the broker after this long: its owner then decides anew. */
const RESULT_KEEP_MS = 10 * 60_000;
/** Redelivery of a claim that was given back: doubles with every delivery, so that an unreachable owner costs little. */
const GIVE_BACK_INITIAL_MS = 1_000;
const GIVE_BACK_MAX_MS = 60_000;
/** Older claims cannot have an owner that still waits (jobs are kept 24 h): they end instead of circling for ever. */
const CLAIM_AGE_MAX_MS = 25 * 3_600_000;

/** What time alone does to a held claim. */
export function dueEvent(
  facts: ClaimFacts,
  phase: Phase,
  ownerDownForMs: number,
  nowMs: number,
  limits: { readonly ownerUnreachableMs: number },
): ClaimEvent | undefined {
  if (phase.name === 'done') return undefined;
  if (phase.name === 'reported')
    return nowMs - phase.atMs > RESULT_KEEP_MS ? { kind: 'given-up', reason: 'not-acknowledged' } : undefined;
  if (facts.deadlineMs !== 0 && nowMs >= facts.deadlineMs) return { kind: 'deadline', nowMs };
  if (phase.name === 'pulled' && phase.stranded && ownerDownForMs > limits.ownerUnreachableMs)
    return { kind: 'given-up', reason: 'owner-unreachable' };
  return undefined;
}

export function isTooOld(facts: ClaimFacts, nowMs: number): boolean {
  return facts.placedAtMs !== 0 && nowMs - facts.placedAtMs > CLAIM_AGE_MAX_MS;
}

/** @param deliveryCount 1 for the first */
export function giveBackDelayMs(deliveryCount: number): number {
  const doublings = Math.min(Math.max(0, deliveryCount - 1), 16);
  return Math.min(GIVE_BACK_MAX_MS, GIVE_BACK_INITIAL_MS * 2 ** doublings);
}
