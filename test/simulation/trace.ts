/**
 * Every input and output of every process, as canonical text. Only its hash is kept, and the last lines on request: the
 * same seed gives the same text, so a run that failed is simply run again to read it.
 */
export class Trace {
  readonly #lines: string[] | undefined;
  readonly #linesMax: number;
  #low = 0x811c9dc5;
  #high = 0x9747b28c;

  constructor(linesMax: number) {
    this.#linesMax = linesMax;
    this.#lines = linesMax > 0 ? [] : undefined;
  }

  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  get hash(): string {
    return (this.#high >>> 0).toString(16).padStart(8, '0') + (this.#low >>> 0).toString(16).padStart(8, '0');
  }

  add(atMs: number, where: string, text: string): void {
    this.#mix(where);
    this.#mix(text);
    this.#low = Math.imul(this.#low ^ (atMs * 1024), 0x01000193);
    if (this.#lines === undefined) return;
    this.#lines.push(`${(atMs / 1000).toFixed(3).padStart(8)} ${where.padEnd(11)} ${text}`);
    if (this.#lines.length > this.#linesMax * 2) this.#lines.splice(0, this.#lines.length - this.#linesMax);
  }

  #mix(text: string): void {
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul((high + code) ^ (high >>> 15), 0x85ebca6b);
    }
    this.#low = low;
    this.#high = high;
  }
}
