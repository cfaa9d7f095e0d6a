import type { ClaimFacts, Outcome, Phase } from './held-claim.ts';

/** The broker's message of a claim. Calls after the ending one do nothing. */
export interface ClaimMessage {
  acknowledge(): void;
  terminate(reason: string): void;
  giveBack(delayMs: number): void;
  /** Tells the broker that the claim is still worked on. */
  renew(): void;
  /** 1 for the first. */
  readonly deliveryCount: number;
}

export type Reported = Extract<Phase, { readonly name: 'reported' }>;

/** The stream to the scheduler of one region. */
export interface OwnerLink {
  readonly ready: boolean;
  /** How long the stream has been down; 0 while it is up. */
  downForMs(nowMs: number): number;
  /** @param waits it is held but not prepared: no bytes yet */
  announce(facts: ClaimFacts, waits: boolean): void;
  report(facts: ClaimFacts, reported: Reported): void;
  returned(facts: ClaimFacts, reason: string): void;
}

export interface Owners {
  /** Opens the stream when it is not open yet. @returns undefined for a region that this one does not know. */
  linkOf(region: string): OwnerLink | undefined;
}

/** A model that the slots can run. */
export interface ServedModel {
  readonly name: string;
  readonly digest: string;
  /** A picture still in the model after this long has hung. */
  readonly timeoutMs: number;
}

export interface Preparation {
  /** The model, when nothing needs to be waited for. */
  ready(facts: ClaimFacts): ServedModel | undefined;
  /**
   * Waits for the records that the claim requires and for its model.
   * @throws Failure UNAVAILABLE / STATE_MISSING that names the records, NOT_FOUND / MODEL_UNKNOWN, FAILED_PRECONDITION /
   *   MODEL_SUPERSEDED (all retryable), or why the model does not load. Bounded.
   */
  wait(facts: ClaimFacts, signal: AbortSignal): Promise<ServedModel>;
}

export interface Slots {
  /** Pictures that can be taken now. */
  readonly free: number;
  /** Never rejects: what goes wrong is an outcome. */
  run(model: ServedModel, picture: Uint8Array): Promise<Outcome>;
  /** Called when `free` may have grown. */
  onFree(listener: () => void): void;
}

/** Traces and counts; must not throw. */
export interface ClaimObserver {
  taken(facts: ClaimFacts): void;
  /** The claim has its result, or ended without. */
  ended(
    facts: ClaimFacts,
    last: Phase,
    end: 'reported' | 'acknowledged' | 'terminated' | 'given-back',
    reason?: string,
  ): void;
}
