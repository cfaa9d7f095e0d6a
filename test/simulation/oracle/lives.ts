/** Which life of which process an epoch belongs to, and which of them are over. */
export class Lives {
  readonly #lifeOf = new Map<string, string>();
  readonly #ended = new Set<string>();

  /** The life that named the actor's first event; this one, if none did. */
  ofActor(actor: string, life: string): string {
    const found = this.#lifeOf.get(actor);
    if (found === undefined) this.#lifeOf.set(actor, life);
    return found ?? life;
  }

  ended(life: string): void {
    this.#ended.add(life);
  }

  /** Nothing more will be written under it: what no disk has taken by now never was. */
  isOver(actor: string): boolean {
    const life = this.#lifeOf.get(actor);
    return life !== undefined && this.#ended.has(life);
  }
}
