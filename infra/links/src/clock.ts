/** What the emulator needs of a clock; the runtime's `Clock` has it. */
export interface LinkClock {
  /** Milliseconds from an arbitrary start, never going back. */
  monotonicMs(): number;
  setTimer(delayMs: number, fire: () => void): { cancel(): void };
}

export const processClock: LinkClock = {
  monotonicMs: () => performance.now(),
  setTimer(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
