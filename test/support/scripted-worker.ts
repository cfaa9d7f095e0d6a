import type { MessageInitShape } from '@bufbuild/protobuf';
import { PRIORITY_CLASSES, type PriorityClassName, subject, taskConsumer } from '@meridian/contracts';
import {
  type AttachResponse,
  CollectorService,
  type LoadSchema,
  type WorkerLoadSchema,
} from '@meridian/contracts/collector';
import type { RecognizedObjectSchema } from '@meridian/contracts/recognition';
import type { Delivery, MessageBus } from '@meridian/messaging';
import { type Channel, createChannel, createClient, type Duplex, type TlsFiles } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';

type Claim = Delivery<'meridian.task.claim.v1'>;
type Verdict = { readonly kind: 'ack' | 'refused' | 'cancel'; readonly key: string; readonly reason: string };

export interface ScriptedWorkerOptions {
  readonly bus: MessageBus;
  readonly region: string;
  readonly name: string;
  readonly tls: TlsFiles;
  readonly windowBytes: number;
  readonly model: string;
}

interface Held {
  readonly claim: Claim;
  readonly priority: PriorityClassName;
  picture?: Uint8Array;
  done: boolean;
}

interface Attached {
  readonly channel: Channel;
  duplex: Duplex<Parameters<ReturnType<typeof open>['send']>[0], AttachResponse>;
  welcome: PromiseWithResolvers<void>;
}

const HEARTBEAT_MS = 100;
const ACK_WAIT_MS = 2000;

/**
 * A worker that speaks the collector protocol and does as the test says: answers at once (the default), holds what it
 * has, fails, or stops talking.
 */
export class ScriptedWorker {
  readonly #o: ScriptedWorkerOptions;
  readonly #owners = new Map<string, Attached>();
  readonly #held = new Map<string, Held>();
  readonly #stopping = new AbortController();
  readonly verdicts: Verdict[] = [];
  /** As they were pulled, in order. */
  readonly claims: Claim['data'][] = [];
  /** Keys of tasks whose bytes came, in order. */
  readonly pictures: string[] = [];
  /** What to do with a picture. */
  answer: (worker: ScriptedWorker, key: string) => void = (worker, key) => worker.succeed(key);
  announces = true;
  pulls = true;
  heartbeats = true;
  /** What it says of its region's load. */
  load: MessageInitShape<typeof LoadSchema> | undefined;
  /** What it says of itself. */
  own: MessageInitShape<typeof WorkerLoadSchema> | undefined;
  /** Heartbeats sent. */
  beats = 0;
  /** What it says of each picture. */
  inferenceMs = 3;
  /** What it sees in each picture. */
  objects: readonly MessageInitShape<typeof RecognizedObjectSchema>[] = [{ label: 'person', score: 0.9 }];
  /** Of each class: none waits for another's, as with a real worker's lanes. */
  slots = 4;

  constructor(options: ScriptedWorkerOptions) {
    this.#o = options;
  }

  attach(owner: string, address: string): void {
    const { tls, windowBytes } = this.#o;
    this.#owners.get(owner)?.channel.close();
    const channel = createChannel({ address, tls, windowBytes });
    const attached = { channel, duplex: open(channel), welcome: Promise.withResolvers<void>() };
    this.#owners.set(owner, attached);
    this.#hello(attached);
  }

  /** Attached everywhere; pulling and beating begin with the first call. */
  async ready(): Promise<void> {
    await Promise.all([...this.#owners.values()].map(({ welcome }) => welcome.promise));
    for (const priority of PRIORITY_CLASSES) void this.#pull(priority);
    void this.#beat();
  }

  get held(): number {
    return [...this.#held.values()].filter(({ done }) => !done).length;
  }

  get heldKeys(): string[] {
    return [...this.#held].filter(([, { picture, done }]) => picture !== undefined && !done).map(([key]) => key);
  }

  picture(key: string): Uint8Array | undefined {
    return this.#held.get(key)?.picture;
  }

  succeed(key: string): void {
    const recognition = { width: 8, height: 6, objects: this.objects };
    this.#report(key, { case: 'recognition', value: recognition });
  }

  fail(key: string, error: { code: string; reason: string; retryable: boolean }): void {
    this.#report(key, { case: 'error', value: { ...error, message: error.reason } });
  }

  /** The stream to an owner breaks; the worker does not come back by itself. */
  cut(owner: string): void {
    this.#owners.get(owner)?.duplex.cancel();
  }

  async kill(): Promise<void> {
    this.#stopping.abort();
    for (const { channel } of this.#owners.values()) channel.close();
    await this.#o.bus.close();
  }

  #report(key: string, outcome: { case: 'recognition'; value: object } | { case: 'error'; value: object }): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    const { taskId, fence, owner } = held.claim.data;
    const { inferenceMs } = this;
    const times = { waitMs: 1, decodeMs: 2, inferenceMs, heldMs: inferenceMs + 3 };
    const value = { taskId, fence, outcome, ...times, cause: held.claim.envelope.id };
    held.done = true;
    this.#owners.get(owner?.region ?? '')?.duplex.send({ message: { case: 'result', value } });
  }

  #hello(attached: Attached): void {
    const { name, region } = this.#o;
    attached.duplex.send({ message: { case: 'hello', value: { worker: name, region, incarnation: 'x' } } });
    void this.#listen(attached);
  }

  async #listen(attached: Attached): Promise<void> {
    try {
      for await (const { message } of attached.duplex.messages) this.#take(attached, message);
    } catch {
      // The test looks at what the owner makes of it.
    }
  }

  #take(attached: Attached, message: AttachResponse['message']): void {
    if (message.case === 'welcome') attached.welcome.resolve();
    else if (message.case === 'picture') {
      const key = keyOf(message.value);
      const held = this.#held.get(key);
      if (held !== undefined) held.picture = message.value.picture;
      this.pictures.push(key);
      this.answer(this, key);
    } else if (message.case === 'ack') this.#verdict('ack', keyOf(message.value), '');
    else if (message.case === 'refused') this.#verdict('refused', keyOf(message.value), message.value.reason);
    else if (message.case === 'cancel') this.#cancelled(message.value.taskId);
  }

  /** The claim ends; the test may still report a result that comes too late. */
  #cancelled(taskId: string): void {
    this.verdicts.push({ kind: 'cancel', key: taskId, reason: '' });
    for (const { claim } of this.#held.values()) if (claim.data.taskId === taskId) claim.term('cancelled');
  }

  #verdict(kind: 'ack' | 'refused', key: string, reason: string): void {
    this.verdicts.push({ kind, key, reason });
    const held = this.#held.get(key);
    if (kind === 'ack') held?.claim.ack();
    else held?.claim.term(reason);
    this.#held.delete(key);
  }

  async #pull(priority: PriorityClassName): Promise<void> {
    const { bus, model, region } = this.#o;
    const consumer = await bus.consumer('TASKS', {
      name: taskConsumer(priority, model),
      filter: subject('task', { target: region, class: priority, model }),
      type: 'meridian.task.claim.v1',
      ackWaitMs: ACK_WAIT_MS,
      maxDeliver: -1,
      maxAckPending: 1000,
    });
    while (!this.#stopping.signal.aborted) {
      if (this.#heldOf(priority) >= this.slots || !this.pulls) {
        await systemClock.sleep(2);
        continue;
      }
      try {
        for await (const claim of consumer.fetch(1, 200, this.#stopping.signal)) this.#announce(claim, priority);
      } catch {
        await systemClock.sleep(20);
      }
    }
  }

  #heldOf(priority: PriorityClassName): number {
    return [...this.#held.values()].filter((held) => held.priority === priority && !held.done).length;
  }

  #announce(claim: Claim, priority: PriorityClassName): void {
    const { taskId, fence, owner } = claim.data;
    this.claims.push(claim.data);
    this.#held.set(keyOf(claim.data), { claim, priority, done: false });
    if (!this.announces) return;
    const value = { taskId, fence, cause: claim.envelope.id };
    this.#owners.get(owner?.region ?? '')?.duplex.send({ message: { case: 'announced', value } });
  }

  async #beat(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.beats++;
      if (this.heartbeats)
        for (const { duplex } of this.#owners.values())
          duplex.send({
            message: {
              case: 'heartbeat',
              value: { sequence: 0n, ...(this.load && { load: this.load }), ...(this.own && { worker: this.own }) },
            },
          });
      await systemClock.sleep(HEARTBEAT_MS, this.#stopping.signal).catch(() => undefined);
    }
  }
}

function open(channel: Channel) {
  return createClient(CollectorService, channel).openDuplex('attach');
}

function keyOf({ taskId, fence }: { readonly taskId: string; readonly fence: bigint }): string {
  return `${taskId}#${fence}`;
}
