import type { ClaimState, Outcome, Phase, TaskFailure } from './held-claim.ts';

/**
 * The life of a held claim as one decision function: state and event in, state and effects out. No clock, no IO.
 *
 * 1. Every claim ends in exactly one of `acknowledge`, `terminate` and `giveBack`, and after that has no effects.
 * 2. `acknowledge` only after the owner said that the result is final (or not needed): the broker's message outlives
 *    every crash before that.
 * 3. A claim that the owner refuses or cancels never reports again.
 * 4. Bytes are asked for only once it is prepared; it runs only with bytes, at most once at a time, and never after its
 *    deadline.
 * 5. What has a result keeps it, whatever happens to the stream or to preparation.
 */
export type ClaimEvent =
  /** The owner's stream is up and there is room for the bytes. */
  | { readonly kind: 'room'; readonly nowMs: number }
  | { readonly kind: 'picture'; readonly picture: Uint8Array; readonly nowMs: number }
  /** `stranded`: its owner cannot be reached now. */
  | { readonly kind: 'prepared'; readonly stranded: boolean }
  /** It cannot be prepared (records or model missing). */
  | { readonly kind: 'unpreparable'; readonly failure: TaskFailure; readonly nowMs: number }
  /** Its turn has come. */
  | { readonly kind: 'slot'; readonly nowMs: number }
  | { readonly kind: 'finished'; readonly outcome: Outcome; readonly nowMs: number }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'owner-lost' }
  | { readonly kind: 'owner-back' }
  /** Too long without the owner, or too long or too many with an unacknowledged result. */
  | { readonly kind: 'given-up'; readonly reason: string }
  | { readonly kind: 'deadline'; readonly nowMs: number }
  /** This worker is stopping. */
  | { readonly kind: 'drain' };

export type Effect =
  /** Tells the owner that it is held and waits. */
  | { readonly kind: 'hold' }
  | { readonly kind: 'announce' }
  | { readonly kind: 'run'; readonly picture: Uint8Array }
  | { readonly kind: 'report' }
  | { readonly kind: 'acknowledge' }
  | { readonly kind: 'terminate'; readonly reason: string }
  /** Negative acknowledgement, so that the broker delivers it again. */
  | { readonly kind: 'giveBack'; readonly tellOwner: boolean; readonly reason: string };

export interface Decision {
  readonly state: ClaimState;
  readonly effects: readonly Effect[];
}

const DONE: ClaimState = { phase: { name: 'done' } };

export const DEADLINE_EXCEEDED: TaskFailure = {
  code: 'DEADLINE_EXCEEDED',
  reason: 'TASK_DEADLINE_EXCEEDED',
  message: 'the deadline passed before the picture was recognised',
  retryable: false,
};

export function decide(state: ClaimState, event: ClaimEvent): Decision {
  const { phase } = state;
  if (phase.name === 'done') return stay(state);
  switch (event.kind) {
    case 'room':
      if (phase.name !== 'pulled') return stay(state);
      return move({ name: 'announced', atMs: event.nowMs }, { kind: 'announce' });
    case 'picture':
      return onPicture(state, event.picture, event.nowMs);
    case 'prepared':
      return phase.name === 'waiting' ? move({ name: 'pulled', stranded: event.stranded }) : stay(state);
    case 'unpreparable':
      return fail(state, event.failure, event.nowMs);
    case 'slot':
      return onSlot(state, event.nowMs);
    case 'finished':
      return phase.name === 'running' ? report(state, event.outcome, event.nowMs) : stay(state);
    case 'refused':
      return end({ kind: 'terminate', reason: event.reason });
    case 'cancelled':
      return end({ kind: 'terminate', reason: 'cancelled' });
    case 'acknowledged':
      // An acknowledgement before the result is known means that the task needs none from here.
      return end({ kind: 'acknowledge' });
    case 'owner-lost':
      if (phase.name !== 'announced' && phase.name !== 'pulled') return stay(state);
      return move({ name: 'pulled', stranded: true });
    case 'owner-back':
      if (phase.name === 'pulled') return move({ name: 'pulled', stranded: false });
      if (phase.name === 'waiting') return { state, effects: [{ kind: 'hold' }] };
      return phase.name === 'reported' ? { state, effects: [{ kind: 'report' }] } : stay(state);
    case 'given-up':
      return end({ kind: 'giveBack', tellOwner: false, reason: event.reason });
    case 'deadline':
      return phase.name === 'running' ? stay(state) : fail(state, DEADLINE_EXCEEDED, event.nowMs);
    case 'drain':
      if (phase.name === 'running' || phase.name === 'reported') return stay(state);
      return end({ kind: 'giveBack', tellOwner: true, reason: 'draining' });
  }
}

function onPicture(state: ClaimState, picture: Uint8Array, nowMs: number): Decision {
  const { phase } = state;
  // Not asked for (or asked for on a stream that broke and came back): the first copy counts.
  if (phase.name !== 'announced') return stay(state);
  return move({ name: 'queued', picture, bytesAtMs: nowMs, fetchMs: nowMs - phase.atMs });
}

function onSlot(state: ClaimState, nowMs: number): Decision {
  const { phase } = state;
  if (phase.name !== 'queued') return stay(state);
  const { bytesAtMs, fetchMs, picture } = phase;
  return move({ name: 'running', bytesAtMs, startedAtMs: nowMs, fetchMs }, { kind: 'run', picture });
}

/** A failure found outside the child, before any run. */
function fail(state: ClaimState, failure: TaskFailure, nowMs: number): Decision {
  if (state.phase.name === 'running' || state.phase.name === 'reported') return stay(state);
  return report(state, { kind: 'failure', failure }, nowMs);
}

function report(state: ClaimState, outcome: Outcome, nowMs: number): Decision {
  const { phase } = state;
  const bytesAtMs = phase.name === 'queued' || phase.name === 'running' ? phase.bytesAtMs : nowMs;
  const fetchMs = phase.name === 'queued' || phase.name === 'running' ? phase.fetchMs : 0;
  const workMs = outcome.kind === 'recognition' ? outcome.decodeMs + outcome.inferenceMs : 0;
  const waitMs = Math.max(0, nowMs - bytesAtMs - workMs);
  return move({ name: 'reported', outcome, atMs: nowMs, bytesAtMs, waitMs, fetchMs }, { kind: 'report' });
}

/** A run goes on to its end, an inference cannot be interrupted; its outcome finds the claim done. */
function end(effect: Effect): Decision {
  return { state: DONE, effects: [effect] };
}

function move(phase: Phase, ...effects: Effect[]): Decision {
  return { state: { phase }, effects };
}

function stay(state: ClaimState): Decision {
  return { state, effects: [] };
}
