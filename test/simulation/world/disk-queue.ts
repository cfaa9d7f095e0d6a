import type { Append, Output } from '../../../services/sync/src/replication/protocol.ts';
import type { Host } from './surroundings.ts';

type Forget = Extract<Output, { kind: 'forget' }>;

/** What a process has asked its disk to do, and the disk has not done yet. It does them in any order. */
export class DiskQueue {
  readonly #host: Host;
  readonly #appends = new Map<number, Append>();
  readonly #forgets = new Map<number, Forget>();

  constructor(host: Host) {
    this.#host = host;
  }

  append(append: Append): void {
    const { disk, world } = this.#host;
    if (this.#host.dies('append-lost')) return;
    if (this.#host.dies('append-torn')) {
      world.counts['torn tails']++;
      disk.tear(append.record.key);
      return;
    }
    this.#appends.set(append.id, append);
    this.#later(() => {
      if (!this.#appends.delete(append.id)) return;
      const sequence = this.#take(append);
      if (!this.#host.dies('append-durable')) this.#host.step({ kind: 'appended', id: append.id, sequence });
    });
  }

  forget(forget: Forget): void {
    if (this.#host.dies('forget-lost')) return;
    this.#forgets.set(forget.id, forget);
    this.#later(() => {
      if (!this.#forgets.delete(forget.id)) return;
      this.#remove(forget);
      if (!this.#host.dies('forget-durable')) this.#host.step({ kind: 'forgotten', id: forget.id });
    });
  }

  /** The process dies: of what was under way the disk has done some. */
  cutShort(): void {
    const { chance } = this.#host.world;
    const [appends, forgets] = [[...this.#appends.values()], [...this.#forgets.values()]];
    this.#appends.clear();
    this.#forgets.clear();
    for (const append of appends) if (chance.happens(0.5)) this.#take(append);
    for (const forget of forgets) if (chance.happens(0.5)) this.#remove(forget);
  }

  #later(act: () => void): void {
    const { world, diskMs, life } = this.#host;
    world.heap.after(diskMs * (0.2 + 1.6 * world.chance.next()), () => this.#host.whenAwake(act, life));
  }

  #take(append: Append): number {
    const { world, disk, store, name, lifeName } = this.#host;
    const sequence = disk.append(append);
    world.appends++;
    world.trace.add(world.heap.nowMs, name, `  disk took ${append.id} as ${sequence}`);
    world.oracle.stored(append, store, lifeName, `${name}, record of ${append.record.key}`);
    return sequence;
  }

  #remove({ key, sequence }: Forget): void {
    const { world, disk, store, name } = this.#host;
    const removed = disk.forget(key, sequence);
    if (removed?.record.entry === undefined) return;
    world.appends++;
    world.oracle.forgotten(removed.record.entry, store, `${name} forgets ${key}`);
  }
}
