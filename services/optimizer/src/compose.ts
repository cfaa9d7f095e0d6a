import { readFile } from 'node:fs/promises';
import { VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import { type Plan, PlanService } from '@meridian/contracts/plan';
import { connectService, type MessageBus, SpanShipper } from '@meridian/messaging';
import { loadTls, type TlsFiles } from '@meridian/rpc';
import { RpcServer } from '@meridian/rpc/server';
import type { Component, ServiceComposition, ServiceContext } from '@meridian/runtime';
import { parseTopology, regionOf } from '@meridian/topology';
import type { OptimizerConfig } from './config.ts';
import { PLAN_SERVICE_ALLOW, planServiceHandlers } from './inbound/plan-service.ts';
import { ReportListener } from './inbound/report-listener.ts';
import { createMetrics, observeGauges } from './metrics.ts';
import { PlanBoard } from './planning/plan-board.ts';
import { Planner } from './planning/planner.ts';
import { ReportDesk } from './reports/report-desk.ts';

type Context = ServiceContext<OptimizerConfig>;

/** Plans are small. */
const WINDOW_BYTES = 1024 * 1024;
/** For calls under way; watches end at once. */
const DRAIN_GRACE_MS = 1_000;

/** Wires the optimizer to its region's broker, and to its gRPC door. */
export async function compose(context: Context): Promise<ServiceComposition> {
  const { config } = context;
  const topology = parseTopology(await readFile(config.topologyFile, 'utf8'));
  regionOf(topology, config.region);
  const tls = loadTls(config.tlsDirectory);
  let vector = () => VersionVector.EMPTY;
  const bus = await connectService(context, {
    service: 'optimizer',
    role: 'optimizer',
    tls,
    knowledge: () => vector(),
  });
  const names = topology.regions.map(({ name }) => name);
  const { listener, board, components } = assemble(context, bus, names);
  vector = () => listener.vector;
  const door = new PlanDoor(context, tls, board);
  const closing: Component = { name: 'broker', start: async () => undefined, stop: () => bus.close() };
  const problem = () => (bus.connected ? undefined : 'the broker does not answer');
  return { components: [closing, ...components, door], info: () => ({ grpcPort: door.port }), problem };
}

/** The parts between broker and gRPC door. */
function assemble({ config, clock, logger, telemetry }: Context, bus: MessageBus, names: readonly string[]) {
  const { region, planIntervalMs: intervalMs } = config;
  const metrics = createMetrics(telemetry.meter);
  const [desk, board] = [new ReportDesk(names), new PlanBoard<Plan>()];
  const listener = new ReportListener({ bus, desk, regions: new Set(names), metrics, clock });
  const publish = (data: Plan) =>
    void bus.publish(subject('plan', { origin: region }), {
      ...{ type: 'meridian.plan.made.v1', data, causes: listener.causes },
    });
  const planner = new Planner({ region, desk, board, intervalMs, clock, logger, metrics, publish });
  const planned = () => board.last?.outcome?.regions ?? [];
  observeGauges(telemetry.meter, {
    targets: () =>
      Object.fromEntries(names.map((name) => [name, planned().some((one) => one.region === name) ? 1 : 0])),
    priceMs: () => Object.fromEntries(planned().map(({ region: name, priceMs }) => [name, priceMs])),
    shedPerSecond: () => board.last?.outcome?.shedPerSecond ?? 0,
    watches: () => board.watches,
  });
  return { listener, board, components: [new SpanShipper({ bus, telemetry, clock }), listener, planner] };
}

/** The gRPC door. */
class PlanDoor implements Component {
  readonly name = 'grpc';
  port = 0;
  readonly #server: RpcServer;
  readonly #listen: string;

  constructor({ config, logger, clock, telemetry }: Context, tls: TlsFiles, board: PlanBoard<Plan>) {
    this.#listen = config.grpcListen;
    this.#server = new RpcServer({ tls, windowBytes: WINDOW_BYTES, logger, clock, tracer: telemetry.tracer });
    this.#server.addService(PlanService, PLAN_SERVICE_ALLOW, planServiceHandlers(board, clock));
  }

  async start(): Promise<void> {
    this.port = await this.#server.listen(this.#listen);
  }

  async drain(): Promise<void> {
    await this.#server.drain(DRAIN_GRACE_MS);
  }

  stop(): Promise<void> {
    return this.#server.close();
  }
}
