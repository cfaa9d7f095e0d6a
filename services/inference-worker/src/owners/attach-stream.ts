import type { AttachResponse, CollectorService } from '@meridian/contracts/collector';
import { Failure } from '@meridian/failure';
import type { Duplex, DuplexOpener } from '@meridian/rpc';
import { backoffMs, type Clock, type Logger, type Random, type Timer } from '@meridian/runtime';
import type { ClaimFacts } from '../claims/held-claim.ts';
import type { OwnerLink, Reported } from '../claims/ports.ts';
import { type AttachMessage, announcement, report, returned, type WorkerLoad } from '../codec/report-codec.ts';
import type { RegionLoad } from './region-load.ts';

/** What owners say, for whoever holds the claims. */
export interface OwnerEvents {
  picture(taskId: string, fence: bigint, picture: Uint8Array): void;
  refused(taskId: string, fence: bigint, reason: string): void;
  acknowledged(taskId: string, fence: bigint): void;
  cancelled(taskId: string): void;
  ownerBack(link: OwnerLink): void;
  ownerLost(link: OwnerLink): void;
}

export interface AttachStreamOptions {
  /** Region of the owner. */
  readonly region: string;
  readonly client: DuplexOpener<typeof CollectorService>;
  readonly hello: { readonly worker: string; readonly region: string; readonly incarnation: string };
  /** Of the own region. */
  readonly load: RegionLoad;
  readonly own: () => WorkerLoad;
  readonly events: OwnerEvents;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const RECONNECT = { initialMs: 100, maxMs: 1_000 };
/** Until the scheduler says otherwise. */
const HEARTBEAT_MS = 300;
/** From the call to Welcome: connection, TLS and one message over the longest link, with room. */
const WELCOME_TIMEOUT_MS = 5_000;
/** A scheduler that answers heartbeats and then is silent for this long is gone: ten heartbeats over a link. */
const SILENCE_MS = 3_000;

/**
 * The stream to the scheduler of one region: claims are announced and results reported on it, bytes and verdicts come
 * back.
 *
 * 1. `ready` only between Welcome and the end of that stream; `ownerBack` and `ownerLost` mark both, in turn.
 * 2. What is said while the stream is down is dropped: whoever holds the claim says it again after `ownerBack`.
 * 3. Heartbeats depend on nothing but the event loop of this process, which inference never occupies.
 */
export class AttachStream implements OwnerLink {
  readonly region: string;
  readonly #o: AttachStreamOptions;
  readonly #stopping = new AbortController();
  #duplex: Duplex<AttachMessage, AttachResponse> | undefined;
  #ready = false;
  #downSinceMs: number;
  #heardMs = 0;
  #pongs = 0;
  #sequence = 0n;
  #running: Promise<void> | undefined;

  constructor(options: AttachStreamOptions) {
    this.region = options.region;
    this.#o = options;
    this.#downSinceMs = options.clock.nowMs();
  }

  /** Connects, and connects again, until `close`. */
  open(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stopping.abort(new Failure('CANCELLED', 'the worker is stopping'));
    this.#duplex?.end();
    await this.#running;
  }

  get ready(): boolean {
    return this.#ready;
  }

  downForMs(nowMs: number): number {
    return this.#ready ? 0 : Math.max(0, nowMs - this.#downSinceMs);
  }

  announce(facts: ClaimFacts, waits: boolean): void {
    this.#send(announcement(facts, waits));
  }

  report(facts: ClaimFacts, reported: Reported): void {
    if (this.#ready) this.#send(report(facts, reported, this.#o.load.current, this.#o.clock.nowMs()));
  }

  returned(facts: ClaimFacts, reason: string): void {
    this.#send(returned(facts, reason));
  }

  #send(message: AttachMessage): void {
    // Small messages, bounded by the claims held: there is no back-pressure to heed.
    if (this.#ready) this.#duplex?.send(message);
  }

  async #run(): Promise<void> {
    const { clock, random, logger } = this.#o;
    const { signal } = this.#stopping;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        await this.#attach();
      } catch (thrown) {
        const level = attempt === 0 && !signal.aborted ? 'warn' : 'debug';
        logger[level]({ err: thrown, owner: this.region }, 'no stream to the scheduler; trying again');
      }
      if (this.#ready) attempt = 0;
      this.#lost();
      await clock.sleep(backoffMs(attempt, RECONNECT, random), signal).catch(() => undefined);
    }
  }

  async #attach(): Promise<void> {
    const duplex = this.#o.client.openDuplex('attach');
    this.#duplex = duplex;
    this.#pongs = 0;
    this.#heardMs = this.#o.clock.monotonicMs();
    const cancel = () => duplex.cancel();
    this.#stopping.signal.addEventListener('abort', cancel, { once: true });
    let timer: Timer = this.#o.clock.setTimer(WELCOME_TIMEOUT_MS, cancel);
    const beat = (everyMs: number) => {
      timer.cancel();
      const setMs = this.#o.clock.monotonicMs();
      timer = this.#o.clock.setTimer(everyMs, () => {
        // While this process did not run it heard nobody: that says nothing of the scheduler.
        this.#heardMs += Math.max(0, this.#o.clock.monotonicMs() - setMs - everyMs);
        if (this.#heartbeat(duplex)) beat(everyMs);
      });
    };
    try {
      duplex.send({ message: { case: 'hello', value: this.#o.hello } });
      for await (const { message } of duplex.messages) {
        this.#heardMs = this.#o.clock.monotonicMs();
        if (message.case === 'welcome') {
          beat(message.value.heartbeatMs || HEARTBEAT_MS);
          this.#welcome(message.value.replica);
        } else if (this.#ready) this.#hear(message);
      }
    } finally {
      timer.cancel();
      this.#stopping.signal.removeEventListener('abort', cancel);
      duplex.cancel();
    }
  }

  #welcome(replica: string): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#o.logger.info({ owner: this.region, replica }, 'attached to the scheduler');
    this.#o.events.ownerBack(this);
  }

  #lost(): void {
    this.#duplex = undefined;
    if (!this.#ready) return;
    this.#ready = false;
    this.#downSinceMs = this.#o.clock.nowMs();
    this.#o.events.ownerLost(this);
  }

  #hear(message: AttachResponse['message']): void {
    const { events } = this.#o;
    switch (message.case) {
      case 'picture':
        events.picture(message.value.taskId, message.value.fence, message.value.picture);
        break;
      case 'refused':
        events.refused(message.value.taskId, message.value.fence, message.value.reason);
        break;
      case 'ack':
        events.acknowledged(message.value.taskId, message.value.fence);
        break;
      case 'cancel':
        events.cancelled(message.value.taskId);
        break;
      case 'pong':
        this.#pongs += 1;
        this.#sequence = message.value.sequence;
        break;
      case 'load':
        // Only the own region's scheduler speaks for the own region.
        if (this.region === this.#o.hello.region) this.#o.load.heard(message.value);
        break;
      default:
        break;
    }
  }

  /** @returns false when the scheduler is given up. */
  #heartbeat(duplex: Duplex<AttachMessage, AttachResponse>): boolean {
    if (this.#pongs > 0 && this.#o.clock.monotonicMs() - this.#heardMs > SILENCE_MS) {
      this.#o.logger.warn({ owner: this.region }, 'the scheduler does not answer heartbeats');
      duplex.cancel();
      return false;
    }
    const { load, own, hello } = this.#o;
    const { current } = load;
    const value = {
      sequence: this.#sequence,
      ...(this.region === hello.region ? { worker: own() } : current && { load: current }),
    };
    duplex.send({ message: { case: 'heartbeat', value } });
    return true;
  }
}
