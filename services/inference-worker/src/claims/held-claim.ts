import type { PriorityClassName } from '@meridian/contracts';

/**
 * A claim that this worker holds: pulled → announced → queued (bytes are here) → running → reported → done.
 * The picture and the result live only in the phases that own them.
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
  /** Not announced: its owner's stream is down (`stranded`), or there is no room for its bytes. */
  | { readonly name: 'pulled'; readonly stranded: boolean }
  | { readonly name: 'announced'; readonly atMs: number }
  /** The bytes are here; it runs when `prepared` and when its turn comes. */
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
  /** The records it was placed with are here and its model is loaded. */
  readonly prepared: boolean;
}

export function pulled(stranded: boolean): ClaimState {
  return { phase: { name: 'pulled', stranded }, prepared: false };
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
  readonly pictureBytes: number;
  /** Wall time; 0: none. */
  readonly deadlineMs: number;
  /** Wall time of the owner; 0: unknown. */
  readonly placedAtMs: number;
  readonly ownerRegion: string;
  readonly requires: readonly string[];
}

/** Bytes of pictures that the phase answers for: asked for, or here and not yet given back. */
export function reservedBytes(facts: ClaimFacts, phase: Phase): number {
  const reserves = phase.name === 'announced' || phase.name === 'queued' || phase.name === 'running';
  return reserves ? Math.max(1, facts.pictureBytes) : 0;
}

/**
 * True until its result is known: such claims count against the worker's prefetch. Stranded ones do not, they have a
 * bound of their own: a cut link must not keep the worker from the claims of other owners.
 */
export function usesCredit(phase: Phase): boolean {
  if (phase.name === 'pulled') return !phase.stranded;
  return phase.name !== 'reported' && phase.name !== 'done';
}
