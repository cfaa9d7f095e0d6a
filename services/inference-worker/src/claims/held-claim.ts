import type { PriorityClassName } from '@meridian/contracts';

/**
 * A claim that this worker holds: waiting → pulled → announced → queued (bytes are here) → running → reported → done.
 * One whose records and model are here begins as pulled. The picture and the result live only in the phases that own them.
 */
export interface TaskFailure {
  /** Name of a gRPC status. */
  readonly code: string;
  /** Upper snake case, stable. */
  readonly reason: string;
  readonly message: string;
  readonly retryable: boolean;
}

export type Outcome =
  | {
      readonly kind: 'recognition';
      /** Encoded meridian.recognition.v1.Recognition, as the child made it. */
      readonly recognition: Uint8Array;
      readonly decodeMs: number;
      readonly inferenceMs: number;
    }
  | { readonly kind: 'failure'; readonly failure: TaskFailure };

export type Phase =
  /** Not prepared: a record that it was placed with, or its model, is not here yet. Its owner knows, and sends no bytes. */
  | { readonly name: 'waiting' }
  /** Not announced: its owner's stream is down (`stranded`), or there is no room for its bytes. */
  | { readonly name: 'pulled'; readonly stranded: boolean }
  | { readonly name: 'announced'; readonly atMs: number }
  /** The bytes are here; it runs when its turn comes. */
  | { readonly name: 'queued'; readonly picture: Uint8Array; readonly bytesAtMs: number; readonly fetchMs: number }
  | { readonly name: 'running'; readonly bytesAtMs: number; readonly startedAtMs: number; readonly fetchMs: number }
  /** Kept until the owner acknowledges it; sent again after every reconnect. */
  | {
      readonly name: 'reported';
      readonly outcome: Outcome;
      readonly atMs: number;
      readonly bytesAtMs: number;
      readonly waitMs: number;
      readonly fetchMs: number;
    }
  | { readonly name: 'done' };

/** The part of a claim's state that decisions are made on. */
export interface ClaimState {
  readonly phase: Phase;
}

export const WAITING: ClaimState = { phase: { name: 'waiting' } };

export function pulled(stranded: boolean): ClaimState {
  return { phase: { name: 'pulled', stranded } };
}

/** What a claim says, as this worker uses it. */
export interface ClaimFacts {
  /** `<task_id>#<fence>`. */
  readonly key: string;
  readonly taskId: string;
  readonly jobId: string;
  readonly fence: bigint;
  readonly attempt: number;
  /** Event id of the claim: the cause of everything said about it. */
  readonly eventId: string;
  /** W3C trace context of the owner's attempt. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly priority: PriorityClassName;
  readonly model: string;
  readonly modelDigest: string;
  readonly tenant: string;
  readonly pictureBytes: number;
  /** Wall time; 0: none. */
  readonly deadlineMs: number;
  /** Wall time of the owner; 0: unknown. */
  readonly placedAtMs: number;
  readonly ownerRegion: string;
  /** Keys and dots as the claim has them, not looked at yet. */
  readonly requires: readonly { readonly key: string; readonly dot: string }[];
}

/** Bytes of pictures that the phase answers for: asked for, or here and not yet given back. */
export function reservedBytes(facts: ClaimFacts, phase: Phase): number {
  const reserves = phase.name === 'announced' || phase.name === 'queued' || phase.name === 'running';
  return reserves ? Math.max(1, facts.pictureBytes) : 0;
}

/**
 * True until its result is known: such claims count against the worker's prefetch. Stranded and waiting ones do not, they
 * have bounds of their own: neither a cut link nor a record that is late may keep the worker from other claims.
 */
export function usesCredit(phase: Phase): boolean {
  if (phase.name === 'pulled') return !phase.stranded;
  return phase.name !== 'waiting' && phase.name !== 'reported' && phase.name !== 'done';
}
