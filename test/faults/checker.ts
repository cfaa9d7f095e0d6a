/**
 * Compares a disturbed run with an undisturbed one. Shares no code with the services: it knows pictures by digest and
 * what a client was told about each.
 */
export interface Answer {
  /** Hexadecimal sha256 of the picture. */
  readonly digest: string;
  /** What the client got, as text that is equal for equal answers; region, worker and times are not part of it. */
  readonly content: string;
}

export interface Verdict {
  readonly missing: readonly string[];
  readonly repeated: readonly string[];
  readonly different: readonly string[];
  readonly unknown: readonly string[];
}

export function compare(expected: readonly Answer[], actual: readonly Answer[]): Verdict {
  const wanted = new Map(expected.map((answer) => [answer.digest, answer.content]));
  const seen = new Map<string, number>();
  const different: string[] = [];
  const unknown: string[] = [];
  for (const answer of actual) {
    const content = wanted.get(answer.digest);
    if (content === undefined) unknown.push(answer.digest);
    else if (content !== answer.content) different.push(answer.digest);
    seen.set(answer.digest, (seen.get(answer.digest) ?? 0) + 1);
  }
  return {
    missing: [...wanted.keys()].filter((digest) => !seen.has(digest)),
    repeated: [...seen].filter(([, count]) => count > 1).map(([digest]) => digest),
    different,
    unknown,
  };
}

export function isClean(verdict: Verdict): boolean {
  return Object.values(verdict).every((digests: readonly string[]) => digests.length === 0);
}

export function describe(verdict: Verdict): string {
  const parts = Object.entries(verdict).map(
    ([name, digests]: [string, readonly string[]]) => `${digests.length} ${name}`,
  );
  return parts.join(', ');
}
