import type { ConfValue, Secret, Variable } from './conf-text.ts';

/** Of one region's brokers, which all have the same configuration and differ by their environment. */
export interface BrokerCluster {
  /** Must be unique among the brokers of all regions: linked clusters tell brokers apart by it. */
  readonly serverName: Variable;
  readonly port: number;
  /** Each a whole URL with the password below: `nats-route://<user>:<password>@host:port`. One of them is the own. */
  readonly routes: readonly Secret[];
  /** Every certificate of the installation passes TLS: only this keeps a worker from posing as a broker. */
  readonly user: string;
  readonly password: Secret;
  /** Where `nats-server --signal ldm=<file>` finds the process. */
  readonly pidFile: string;
}

/**
 * Of a broker that leaves: for so long it takes no new connections and does nothing else, then it sends its clients away one
 * by one, then it ends. Clients of a region know all its brokers.
 */
const LAME_DUCK_GRACE_S = 2;
export const LAME_DUCK_DURATION_S = 30;
const TLS_TIMEOUT_S = 5;
/** From this version on every write can be on disk before it is acknowledged. Older ones refuse to start when asked. */
const SYNC_ALWAYS_FROM = [2, 11] as const;

/** The part of a broker's configuration that there is only where a region has several. */
export function clusterSettings(
  { port, routes, user, password, pidFile }: BrokerCluster,
  region: string,
  listenHost: string,
  tls: { readonly [key: string]: string },
): { readonly [key: string]: ConfValue } {
  return {
    pid_file: pidFile,
    lame_duck_grace_period: `${LAME_DUCK_GRACE_S}s`,
    lame_duck_duration: `${LAME_DUCK_DURATION_S}s`,
    cluster: {
      name: region,
      listen: `${listenHost}:${port}`,
      no_advertise: true,
      tls: { ...tls, verify: true, timeout: TLS_TIMEOUT_S },
      authorization: { user, password, timeout: TLS_TIMEOUT_S },
      routes,
    },
  };
}

/** @param version of the broker, such as `2.11.4`; undefined for the floor. */
export function syncInterval(version: string | undefined): { readonly sync_interval?: string } {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  const [fromMajor, fromMinor] = SYNC_ALWAYS_FROM;
  const can = major > fromMajor || (major === fromMajor && minor >= fromMinor);
  return can ? { sync_interval: 'always' } : {};
}
