import { VersionVector } from '@meridian/causality';
import type { Change } from '../../../services/sync/src/replication/protocol.ts';
import { IdSet } from '../oracle/id-set.ts';
import { Chance } from './chance.ts';
import type { RegionProcess } from './region-process.ts';
import type { World } from './world.ts';

/** What a client has read of a key: the context for the next write, and what it stands for. */
interface Reading {
  readonly seen: VersionVector;
  readonly ids: IdSet;
}

interface Client {
  home: string;
  readonly moves: boolean;
  /** Session token: the clocks of all that it has read and written, and the writes that they stand for. */
  token: VersionVector;
  readonly session: IdSet;
  readonly readings: Map<string, Reading>;
}

/** Clients that read, write on top of what they have read (now, earlier, or nothing), delete, and move between regions. */
export class Clients {
  readonly #world: World;
  readonly #chance: Chance;
  readonly #clients: Client[];

  constructor(world: World) {
    this.#world = world;
    this.#chance = new Chance(world.options.seed, 4);
    const { clients, regions } = world.options;
    this.#clients = Array.from({ length: clients }, () => ({
      home: this.#chance.pick(regions),
      moves: this.#chance.happens(0.4),
      token: VersionVector.EMPTY,
      session: new IdSet(),
      readings: new Map(),
    }));
  }

  /** Schedules all operations. @returns when the last one comes */
  schedule(): number {
    const { heap, options } = this.#world;
    let atMs = 0;
    for (let i = 0; i < options.operations; i++) {
      atMs += options.operationGapMs * 2 * this.#chance.next();
      heap.after(atMs, () => this.#operate());
    }
    return atMs;
  }

  /** One write in every member, on top of what is read there. @returns how many */
  probe(): number {
    const members = this.#world.members();
    for (const process of members) {
      const client = this.#chance.pick(this.#clients);
      const key = this.#chance.pick(this.#world.options.keys);
      const read = this.#read(client, process, key);
      this.#write(client, process, { key, value: this.#value(), when: 'differs', seen: read.seen }, read.ids);
    }
    return members.length;
  }

  #operate(): void {
    const chance = this.#chance;
    const client = chance.pick(this.#clients);
    if (client.moves && chance.happens(0.3)) client.home = chance.pick(this.#world.options.regions);
    const key = chance.pick(this.#world.options.keys);
    const what = chance.next();
    this.#world.deliver(client.home, (process) => {
      if (!this.#world.oracle.members.has(process.region) && chance.happens(0.7)) return;
      if (what < 0.15) this.#takeToken(client, process, key);
      else if (what < 0.18) this.#want(process, key);
      else this.#change(client, process, key);
    });
  }

  #change(client: Client, process: RegionProcess, key: string): void {
    const chance = this.#chance;
    const how = chance.next();
    const value = chance.happens(this.#world.options.deletions) ? undefined : this.#value();
    const change = { key, value, when: 'differs' as const };
    const earlier = client.readings.get(key);
    if (how < 0.1) this.#write(client, process, change, undefined);
    else if (how < 0.2) this.#write(client, process, { ...change, seen: VersionVector.EMPTY }, new IdSet());
    else if (how < 0.45 && earlier !== undefined)
      this.#write(client, process, { ...change, seen: earlier.seen }, earlier.ids.copy());
    else {
      const read = this.#read(client, process, key);
      client.readings.set(key, read);
      this.#write(client, process, { ...change, seen: read.seen }, read.ids.copy());
    }
  }

  #write(client: Client, process: RegionProcess, change: Change, history: IdSet | undefined): void {
    const { oracle } = this.#world;
    const value = change.value === undefined ? undefined : Buffer.from(change.value).toString();
    const fact = oracle.asked({ key: change.key, region: process.region, value, isSystem: false, history });
    const input = { kind: 'write' as const, id: this.#world.nextId(), change };
    process.write(input, {
      fact,
      done: (output) => {
        if (output.kind === 'refused') return;
        client.token = client.token.merge(output.written.vector);
        if (output.written.changed) client.session.addAll(oracle.writes.past(fact));
      },
    });
  }

  #read(client: Client, process: RegionProcess, key: string): Reading {
    const { oracle } = this.#world;
    const { machine, clock, store, name } = process;
    const entry = machine.view.get(key);
    const ids = oracle.read(entry, key, clock, store, machine.isIdle, `${name}, reading ${key}`);
    client.token = client.token.merge(machine.vector);
    client.session.addAll(clock.covered);
    return { seen: entry?.context ?? machine.vector, ids };
  }

  /** S29: the region has seen what the client has, or says that it has not. */
  #takeToken(client: Client, process: RegionProcess, key: string): void {
    const { machine, store, name } = process;
    if (machine.vector.dominates(client.token)) {
      this.#world.oracle.expectSession(client.session, store, client.token, name);
      client.readings.set(key, this.#read(client, process, key));
    } else this.#world.counts['stale answers']++;
  }

  #want(process: RegionProcess, key: string): void {
    const peer = this.#chance.pick(this.#world.options.regions);
    if (peer !== process.region) process.step({ kind: 'want', peer, keys: this.#chance.happens(0.5) ? [key] : [] });
  }

  #value(): Uint8Array {
    return Buffer.from(`v${this.#world.nextId()}`);
  }
}
