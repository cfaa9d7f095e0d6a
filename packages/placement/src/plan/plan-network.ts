import { type Network, NetworkBuilder } from '../flow/network.ts';
import {
  CLASSES,
  type PlanProblem,
  type PlanRegion,
  type PlanSource,
  type PriorityClass,
  requireWay,
  sentOn,
} from './problem.ts';
import { type Piece, type Waiting, waitingPieces } from './waiting.ts';

/** One way for a source's tasks: the region, and the arc that carries them, in worker-seconds a second. */
export interface Lane {
  readonly source: PlanSource;
  /** Index of the region. */
  readonly region: number;
  /** Way and service of a task, ms. */
  readonly latencyMs: number;
  /** Bytes from elsewhere for each worker-second; 0 for a region's own tasks. */
  readonly remoteBytes: number;
  readonly arc: number;
}

/** What is given up of a source. */
export interface ShedArc {
  readonly source: PlanSource;
  readonly node: number;
  readonly arc: number;
  /** Milliseconds for each worker-second. */
  readonly cost: number;
}

/**
 * The placement problem as a network: sources, regions, and a root where all load ends. Flow is worker-seconds a second, cost
 * milliseconds of all tasks together.
 *
 * 1. Each source has an arc to the root: what is given up. Nothing runs anywhere is the first flow.
 * 2. Each region has an arc to the root for each piece of its waiting cost.
 * 3. Where remote bytes are an arc (`isByteExact`), remote lanes enter a region through a gate of its own, whose arc has the
 *    capacity of its bandwidth; else they are left to `solveMixedPayloads`.
 */
export class PlanNetwork {
  readonly lanes: readonly Lane[];
  readonly shed: readonly ShedArc[];
  /** Node of each region. */
  readonly regionNodes: readonly number[];
  /** By region: the arc of its gate; −1 without one. */
  readonly gates: readonly number[];
  readonly isByteExact: boolean;
  readonly network: Network;
  readonly firstTree: Int32Array;

  /** @param problem valid, regions and sources in their canonical order */
  constructor(problem: PlanProblem) {
    const drawing = new Drawing(problem);
    this.lanes = drawing.lanes;
    this.shed = drawing.shed;
    this.regionNodes = drawing.regionNodes;
    this.gates = drawing.gates;
    this.isByteExact = drawing.ratio !== undefined;
    this.network = drawing.builder.build(drawing.root);
    this.firstTree = Int32Array.from(drawing.first);
  }
}

/** Milliseconds for each worker-second that is given up: more than any way of running it, and by class. */
export function shedCosts(problem: PlanProblem): Readonly<Record<PriorityClass, number>> {
  let [steepest, highest] = [0, 0];
  for (const region of problem.regions)
    for (const { slope } of piecesOf(region, problem)) steepest = Math.max(steepest, slope);
  for (const source of problem.sources)
    for (const region of problem.regions)
      highest = Math.max(highest, (latencyOf(problem, source, region) ?? 0) / source.taskCost);
  // Giving one unit to a lower class in place of a higher one may move a unit of each region: that must never pay.
  const step = 2 * (problem.regions.length + 1) * highest + steepest + 1;
  const of = (priority: PriorityClass) => steepest + (CLASSES.length - CLASSES.indexOf(priority)) * step;
  return { high: of('high'), normal: of('normal'), low: of('low') };
}

export function piecesOf({ capacity, workers }: PlanRegion, kind: Waiting): readonly Piece[] {
  return waitingPieces(capacity, workers, kind);
}

/** Way and service of a task of the source there, ms; undefined when it cannot or may not run there. */
export function latencyOf(problem: PlanProblem, source: PlanSource, region: PlanRegion): number | undefined {
  return laneOf(problem, source, region)?.latencyMs;
}

/** The same, with the bytes that each worker-second takes into the region from elsewhere. */
function laneOf(
  problem: PlanProblem,
  source: PlanSource,
  { name, capacity, workers, bandwidthMbps }: PlanRegion,
): { readonly latencyMs: number; readonly remoteBytes: number } | undefined {
  const { origin, taskCost, pictureBytes, allowed } = source;
  if (capacity <= 0 || allowed?.has(name) === false) return undefined;
  if (bandwidthMbps === 0 && origin !== name && pictureBytes > 0) return undefined;
  const way = problem.way(origin, name);
  if (way === undefined) return undefined;
  requireWay(way, origin, name);
  const sent = sentOn(source, way);
  return {
    latencyMs: sent.wayMs + (taskCost * workers * 1_000) / capacity,
    remoteBytes: origin === name ? 0 : sent.bytes / taskCost,
  };
}

class Drawing {
  readonly builder = new NetworkBuilder();
  readonly root = this.builder.node();
  readonly first: number[] = [-1];
  readonly lanes: Lane[] = [];
  readonly shed: ShedArc[] = [];
  readonly regionNodes: number[] = [];
  readonly gates: number[] = [];
  /** Bytes for each worker-second, the same for all sources that have any; undefined where they differ. */
  readonly ratio: number | undefined;
  readonly #problem: PlanProblem;
  readonly #entrances: number[] = [];

  constructor(problem: PlanProblem) {
    this.#problem = problem;
    this.ratio = commonRatio(problem);
    for (const region of problem.regions) this.#addRegion(region);
    const nodes = problem.sources.map(({ tasksPerSecond, taskCost }) => this.builder.node(tasksPerSecond * taskCost));
    for (const [i, source] of problem.sources.entries()) this.#addLanes(source, nodes[i] as number);
    const costs = shedCosts(problem);
    for (const [i, source] of problem.sources.entries()) {
      const [node, cost] = [nodes[i] as number, costs[source.priority]];
      const arc = this.builder.arc(node, this.root, cost);
      this.first[node] = arc;
      this.shed.push({ source, node, arc, cost });
    }
  }

  #addRegion(region: PlanRegion): void {
    const node = this.builder.node();
    this.regionNodes.push(node);
    // One without capacity hangs at the root all the same.
    const pieces = region.capacity > 0 ? piecesOf(region, this.#problem) : [{ width: 0, slope: 0 }];
    for (const { width, slope } of pieces) {
      const arc = this.builder.arc(node, this.root, slope, width);
      this.first[node] ??= arc;
    }
    const isGated = this.ratio !== undefined && this.ratio > 0 && region.bandwidthMbps < Number.POSITIVE_INFINITY;
    if (!isGated) {
      this.gates.push(-1);
      this.#entrances.push(node);
      return;
    }
    const gate = this.builder.node();
    const room = bytesPerSecond(region) / (this.ratio ?? 1);
    const arc = this.builder.arc(gate, node, 0, room);
    this.first[gate] = arc;
    this.gates.push(arc);
    this.#entrances.push(gate);
  }

  #addLanes(source: PlanSource, node: number): void {
    for (const [j, region] of this.#problem.regions.entries()) {
      const lane = laneOf(this.#problem, source, region);
      if (lane === undefined) continue;
      const { latencyMs, remoteBytes } = lane;
      const to = (remoteBytes > 0 ? this.#entrances[j] : this.regionNodes[j]) as number;
      const arc = this.builder.arc(node, to, latencyMs / source.taskCost);
      this.lanes.push({ source, region: j, latencyMs, remoteBytes, arc });
    }
  }
}

export function bytesPerSecond({ bandwidthMbps }: PlanRegion): number {
  return (bandwidthMbps * 1e6) / 8;
}

/** Ratios that differ by less are one: what division leaves of equal ones. */
const RATIO_TOLERANCE = 1e-12;

/** 0 when no bytes or no bounds matter; undefined where what is sent depends on the way, too. */
function commonRatio({ regions, sources }: PlanProblem): number | undefined {
  if (regions.every(({ bandwidthMbps }) => bandwidthMbps === Number.POSITIVE_INFINITY)) return 0;
  let ratio = 0;
  for (const { pictureBytes, taskCost, downscaling } of sources) {
    if (downscaling !== undefined) return undefined;
    const own = pictureBytes / taskCost;
    if (own === 0) continue;
    if (ratio === 0) ratio = own;
    else if (Math.abs(own - ratio) > RATIO_TOLERANCE * ratio) return undefined;
  }
  return ratio;
}
