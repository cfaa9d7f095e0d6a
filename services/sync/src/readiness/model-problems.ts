/** Models with a problem that are remembered. */
export const PROBLEMS_MAX = 256;
const PROBLEM_CHARS_MAX = 512;

/**
 * Why this region's workers cannot run a model: the last that one of them said, in this life of the process. Not part of
 * the shared state: it is for whoever adds a model here and wonders.
 */
export class ModelProblems {
  readonly #problems = new Map<string, string>();

  /** An empty problem, or readiness, forgets the one before. */
  report(digest: string, problem: string): void {
    this.#problems.delete(digest);
    if (problem === '') return;
    this.#problems.set(digest, problem.slice(0, PROBLEM_CHARS_MAX).toWellFormed());
    const [oldest] = this.#problems.keys();
    if (this.#problems.size > PROBLEMS_MAX && oldest !== undefined) this.#problems.delete(oldest);
  }

  /** Empty when none is known. */
  of(digest: string): string {
    return this.#problems.get(digest) ?? '';
  }
}
