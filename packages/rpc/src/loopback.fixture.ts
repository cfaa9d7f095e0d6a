import type { DescService } from '@bufbuild/protobuf';
import { type Authority, createAuthority, createIdentity } from '@meridian/certificates';
import { createLogger, systemClock, type Telemetry } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';
import { type AllowList, type Channel, createChannel, type ServiceHandlers, type TlsFiles } from './index.ts';
import { RpcServer } from './server.ts';

/** For tests: servers and clients of one made-up installation, on 127.0.0.1, with real certificates. */
export interface Loopback {
  readonly authority: Authority;
  /** Finished spans of the servers. */
  readonly telemetry: Telemetry;
  identity(role: string, name?: string): Promise<TlsFiles>;
  server(options?: Partial<ConstructorParameters<typeof RpcServer>[0]>): Promise<RpcServer>;
  channel(port: number, role?: string, options?: Partial<Parameters<typeof createChannel>[0]>): Promise<Channel>;
  close(): Promise<void>;
}

const WINDOW_BYTES = 1024 * 1024;

export async function openLoopback(): Promise<Loopback> {
  const authority = await createAuthority();
  const telemetry = startTelemetry({ service: 'test', region: 'beijing', replica: '1', sampleRatio: 1 });
  const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
  const closers: (() => unknown)[] = [];
  const identity = (role: string, name = 'one') => createIdentity(authority, { role, region: 'beijing', name });
  return {
    authority,
    telemetry,
    identity,
    async server(options = {}) {
      const tls = await identity('scheduler');
      const { tracer } = telemetry;
      const server = new RpcServer({ tls, windowBytes: WINDOW_BYTES, logger, clock: systemClock, tracer, ...options });
      closers.push(() => server.close());
      return server;
    },
    async channel(port, role = 'client', options = {}) {
      const tls = await identity(role);
      const channel = createChannel({ address: `127.0.0.1:${port}`, tls, windowBytes: WINDOW_BYTES, ...options });
      closers.push(() => channel.close());
      return channel;
    },
    async close() {
      for (const close of closers.reverse()) await close();
    },
  };
}

/** Adds a service of which only some methods are of interest. */
export function addPartial<S extends DescService>(
  server: RpcServer,
  service: S,
  handlers: Partial<ServiceHandlers<S>>,
  allow: AllowList = { '*': ['client', 'worker', 'scheduler', 'operator'] },
  admit?: Parameters<RpcServer['addService']>[3],
): void {
  const absent = () => {
    throw new Error('not of interest');
  };
  const rest = Object.fromEntries(service.methods.map((method) => [method.localName, absent]));
  server.addService(service, allow, { ...rest, ...handlers } as unknown as ServiceHandlers<S>, admit);
}
