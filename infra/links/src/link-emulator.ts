import { Failure } from '@meridian/failure';
import { type LinkClock, processClock } from './clock.ts';
import { type Conditions, Link } from './link.ts';
import { Route, type RouteOptions, type RouteStats } from './route.ts';

/** Enough for sixteen regions with two routes each way; more is a caller that forgets to close. */
export const ROUTES_MAX = 512;

/**
 * Stands between regions on one machine: every TCP connection from one region to another goes through one of its
 * routes, which adds the link's delay and bandwidth, and can be cut, made to lose all packets, or slowed.
 *
 * 1. Bytes arrive whole and in order, or the connection is reset.
 * 2. All routes between two regions share one link: its state, and in each direction its bandwidth.
 */
export class LinkEmulator {
  readonly #clock: LinkClock;
  readonly #links = new Map<string, Link>();
  readonly #routes = new Map<string, { route: Route; key: string }>();

  constructor(options: { clock?: LinkClock } = {}) {
    this.#clock = options.clock ?? processClock;
  }

  /**
   * Opens a port on 127.0.0.1 that leads to the target. Delay in milliseconds (0 … 60,000), bandwidth in megabits a
   * second (over 0), each way.
   * @throws Failure INVALID_ARGUMENT / CONDITIONS_INVALID, ALREADY_EXISTS / ROUTE_EXISTS, RESOURCE_EXHAUSTED /
   * TOO_MANY_ROUTES, UNAVAILABLE / PORT_UNAVAILABLE.
   */
  async open(options: RouteOptions): Promise<{ port: number; close(): Promise<void> }> {
    checkConditions(options);
    if (this.#routes.has(options.name))
      throw new Failure('ALREADY_EXISTS', `route ${options.name} is open already`, { reason: 'ROUTE_EXISTS' });
    if (this.#routes.size >= ROUTES_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `at most ${ROUTES_MAX} routes can be open`, {
        reason: 'TOO_MANY_ROUTES',
        retryable: false,
      });
    const key = linkKey(...options.link);
    const link = this.#links.get(key) ?? new Link();
    this.#links.set(key, link);
    const route = new Route(options, link, this.#clock);
    this.#routes.set(options.name, { route, key });
    try {
      await route.listen();
    } catch (error) {
      this.#routes.delete(options.name);
      throw error;
    }
    const close = async () => {
      this.#routes.delete(options.name);
      await route.close();
    };
    return { port: route.port, close };
  }

  /** Resets all connections of the link and refuses new ones. */
  cut(a: string, b: string): void {
    const link = this.#link(a, b);
    link.status = 'cut';
    link.drop();
    for (const route of this.#routesOf(a, b)) route.reset();
  }

  /** Packets vanish, connections stay: both ends see silence. What was sent flows, in order, after `heal`. */
  blackhole(a: string, b: string): void {
    this.#link(a, b).status = 'blackhole';
    for (const route of this.#routesOf(a, b)) route.hold();
  }

  /** The link, or all links, as the routes were opened: neither cut nor silent nor slow. */
  heal(a?: string, b?: string): void {
    if (a === undefined || b === undefined) {
      for (const link of this.#links.values()) restore(link);
      for (const { route } of this.#routes.values()) route.release();
      return;
    }
    restore(this.#link(a, b));
    for (const route of this.#routesOf(a, b)) route.release();
  }

  /** New conditions for all routes of the link, from the next byte on, until `heal`; what is not given stays. */
  slow(a: string, b: string, conditions: Partial<Conditions>): void {
    checkConditions(conditions);
    const link = this.#link(a, b);
    link.slowed = { ...link.slowed, ...conditions };
  }

  stats(): readonly RouteStats[] {
    return [...this.#routes.values()].map(({ route }) => route.stats());
  }

  /** Resets every connection and gives all ports back. */
  async close(): Promise<void> {
    const routes = [...this.#routes.values()];
    this.#routes.clear();
    await Promise.all(routes.map(({ route }) => route.close()));
  }

  #link(a: string, b: string): Link {
    const link = this.#links.get(linkKey(a, b));
    if (link === undefined)
      throw new Failure('NOT_FOUND', `no route was opened between ${a} and ${b}`, { reason: 'LINK_UNKNOWN' });
    return link;
  }

  #routesOf(a: string, b: string): Route[] {
    const key = linkKey(a, b);
    return [...this.#routes.values()].filter((entry) => entry.key === key).map(({ route }) => route);
  }
}

function restore(link: Link): void {
  link.status = 'up';
  link.slowed = {};
}

function linkKey(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

const DELAY_MAX_MS = 60_000;

function checkConditions({ oneWayDelayMs = 0, bandwidthMbps = 1 }: Partial<Conditions>): void {
  const problems: string[] = [];
  if (!(oneWayDelayMs >= 0 && oneWayDelayMs <= DELAY_MAX_MS))
    problems.push(`oneWayDelayMs must be 0 to ${DELAY_MAX_MS}, not ${oneWayDelayMs}`);
  if (!(bandwidthMbps > 0 && Number.isFinite(bandwidthMbps)))
    problems.push(`bandwidthMbps must be over 0, not ${bandwidthMbps}`);
  if (problems.length > 0) throw new Failure('INVALID_ARGUMENT', problems.join('; '), { reason: 'CONDITIONS_INVALID' });
}
