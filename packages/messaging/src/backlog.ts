/** Bytes sent that the broker has not confirmed by a pong: what the socket may buffer when the broker stalls. */
export const UNCONFIRMED_BYTES_MAX = 16 * 2 ** 20;
/** A ping at least this often, in bytes sent. */
const CONFIRM_EVERY_BYTES = 256 * 1024;

/**
 * Bounds what is sent and not taken yet. The client writes to its socket without looking back, so a broker that stands
 * still would fill this process's memory; a pong shows that everything before its ping was taken.
 */
export class Backlog {
  readonly #ping: () => Promise<void>;
  #unconfirmedBytes = 0;
  #pinging = false;
  #generation = 0;

  /** @param ping resolves when the broker has taken what was sent before */
  constructor(ping: () => Promise<void>) {
    this.#ping = ping;
  }

  get full(): boolean {
    return this.#unconfirmedBytes > UNCONFIRMED_BYTES_MAX;
  }

  sent(bytes: number): void {
    this.#unconfirmedBytes += bytes;
    if (this.#unconfirmedBytes >= CONFIRM_EVERY_BYTES && !this.#pinging) void this.#confirm();
  }

  /** The connection is another one. */
  reset(): void {
    this.#generation++;
    this.#unconfirmedBytes = 0;
  }

  async #confirm(): Promise<void> {
    const bytes = this.#unconfirmedBytes;
    const generation = this.#generation;
    this.#pinging = true;
    try {
      await this.#ping();
      if (generation === this.#generation) this.#unconfirmedBytes -= bytes;
    } catch {
      // The connection went: `reset` follows.
    } finally {
      this.#pinging = false;
    }
  }
}
