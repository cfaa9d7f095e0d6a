import { HybridLogicalClock, type VersionVector } from '@meridian/causality';
import type { Role } from '@meridian/contracts';
import type { CommonConfig, ServiceContext } from '@meridian/runtime';
import { Emitter } from './emitter.ts';
import { connectNats, type NatsBus } from './nats-bus.ts';
import type { TlsFiles } from './nats-dial.ts';

/** A remote clock further ahead than this moves nothing here. */
export const CLOCK_DRIFT_MAX_MS = 1_000;

export interface ServiceIdentity {
  /** In ids and sources of its events. */
  readonly service: string;
  /** Of its broker account's permissions. */
  readonly role: Role;
  readonly tls: TlsFiles;
  /** Of this life of the process; without it drawn anew. */
  readonly incarnation?: string;
  /** What this process has seen of the replicated state. */
  readonly knowledge: () => VersionVector;
}

/**
 * The bus of a service process, at the broker that its configuration names.
 * @throws Failure UNAUTHENTICATED; UNAVAILABLE / BROKER_UNREACHABLE when none answers before the deadline.
 */
export function connectService(
  { config, clock, random, logger, telemetry }: ServiceContext<CommonConfig>,
  { service, role, tls, knowledge, ...identity }: ServiceIdentity,
): Promise<NatsBus> {
  const { region, replica, natsUrl: url, natsSeedFile: seedFile } = config;
  const incarnation = identity.incarnation ?? random.bigint64().toString(16).padStart(16, '0');
  const hlc = new HybridLogicalClock(() => clock.nowMs(), { driftMaxMs: CLOCK_DRIFT_MAX_MS });
  const emitter = new Emitter({ region, service, replica, incarnation, clock, hlc, knowledge });
  const name = `${region}-${replica}`;
  return connectNats({ url, seedFile, tls, role, name, emitter, logger, meter: telemetry.meter, clock });
}
