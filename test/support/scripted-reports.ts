import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { actorId, HybridLogicalClock, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import { DemandReportSchema, LoadReportSchema } from '@meridian/contracts/telemetry';
import { connectNats, Emitter, type MessageBus } from '@meridian/messaging';
import { loadTls } from '@meridian/rpc';
import { createLogger, systemClock } from '@meridian/runtime';
import { createNoopMeter } from '@opentelemetry/api';
import type { RegionBroker } from './region-brokers.ts';

type Load = Extract<MessageInitShape<typeof LoadReportSchema>, { readonly $typeName?: never }>;
type Demand = Extract<MessageInitShape<typeof DemandReportSchema>, { readonly $typeName?: never }>;

const INTERVAL_MS = 200;

/** What a region's scheduler tells of its load and its callers, on its own broker, again and again until it falls silent. */
export class ScriptedReports {
  readonly bus: MessageBus;
  readonly #region: string;
  #timer: NodeJS.Timeout | undefined;
  #measuredMs = 0;
  load: Load = {};
  demand: Demand = {};

  private constructor(region: string, bus: MessageBus) {
    this.#region = region;
    this.bus = bus;
  }

  static async connect({ region, clientUrl, credentials }: RegionBroker): Promise<ScriptedReports> {
    const logger = createLogger({ name: 'test', region, level: 'silent' });
    const emitter = new Emitter({
      ...{ region, service: 'scheduler', replica: 'scripted', incarnation: 'i1', clock: systemClock },
      hlc: new HybridLogicalClock(() => systemClock.nowMs(), { driftMaxMs: 1_000 }),
      knowledge: () => VersionVector.of([[actorId(region, 0x7n), 3]]),
    });
    const bus = await connectNats({
      ...{ url: clientUrl, seedFile: credentials.seedFiles.scheduler, role: 'scheduler', name: `${region}-scripted` },
      ...{ tls: loadTls(credentials.certificates.scheduler), emitter, logger, clock: systemClock },
      meter: createNoopMeter(),
    });
    return new ScriptedReports(region, bus);
  }

  begin(): void {
    this.tell();
    this.#timer = setInterval(() => this.tell(), INTERVAL_MS);
  }

  fallSilent(): void {
    clearInterval(this.#timer);
  }

  /** One report of each kind, with these changes. */
  tell(load: Load = {}, demand: Demand = {}): void {
    this.sendLoad({ ...this.load, ...load });
    this.sendDemand({ ...this.demand, ...demand });
  }

  sendLoad(load: Load): void {
    const usual = { region: this.#region, capacity: 1, workers: 1, slots: 1, measuredUnixMs: this.#now() };
    const event = {
      type: 'meridian.telemetry.load.v1' as const,
      data: create(LoadReportSchema, { ...usual, ...load }),
    };
    this.bus.publish(subject('telemetry', { origin: this.#region }), event);
  }

  sendDemand(demand: Demand): void {
    const event = {
      type: 'meridian.telemetry.demand.v1' as const,
      data: create(DemandReportSchema, { region: this.#region, measuredUnixMs: this.#now(), ...demand }),
    };
    this.bus.publish(subject('demand', { origin: this.#region }), event);
  }

  async close(): Promise<void> {
    this.fallSilent();
    await this.bus.close();
  }

  /** Later each time. */
  #now(): bigint {
    this.#measuredMs = Math.max(this.#measuredMs + 1, Date.now());
    return BigInt(this.#measuredMs);
  }
}
