import { create } from '@bufbuild/protobuf';
import { RecognitionSchema } from '@meridian/contracts/recognition';
import type { Entry } from '@meridian/replica';
import { RegionView } from '../placement/region-view.ts';
import { NOTHING_ASKED, Residency } from '../placement/residency.ts';
import { Dispatcher } from './dispatcher.ts';
import type { DispatchPorts } from './ports.ts';
import type { Attempt, EndedAttempt, Ending, Outcome, Task, Work } from './task.ts';
import { newTask, newWork } from './task.ts';
import { TASK_LIMITS } from './transition.ts';

/** Builders and recording ports for the tests of this folder. */

export const MODEL = 'sha256:model';
export const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;
export const TIMES = { waitMs: 1, decodeMs: 5, inferenceMs: 25, heldMs: 32 };
export const GOOD: Outcome = { kind: 'recognition', recognition: create(RecognitionSchema, { width: 4, height: 3 }) };

export function failed(
  retryable: boolean,
  code: 'INTERNAL' | 'UNAVAILABLE' | 'INVALID_ARGUMENT' = 'UNAVAILABLE',
): Outcome {
  return { kind: 'failure', failure: { code, reason: 'TEST', message: 'test', retryable } };
}

export function aWork(overrides: Partial<Work> = {}): Work {
  const jobId = overrides.jobId ?? 'beijing-job';
  return newWork({
    key: jobId || 'call',
    jobId,
    tenant: 'public',
    priority: 'normal',
    model: 'centernet-320',
    modelDigest: MODEL,
    requires: [],
    causes: [],
    asked: NOTHING_ASKED,
    acceptedMs: 0,
    deadlineMs: 1_000_000,
    expectedServiceMs: 30,
    ...overrides,
  });
}

export function aTask(work: Work, index = 0): Task {
  return newTask(work, {
    taskId: `${work.key}/${index}`,
    index,
    pictureName: `${index}.jpg`,
    pictureDigest: new Uint8Array(32),
    pictureBytes: 100_000,
  });
}

export class RecordingPorts implements DispatchPorts {
  readonly claims: { task: Task; attempt: Attempt }[] = [];
  readonly pictures: { stream: string; taskId: string; fence: number }[] = [];
  readonly refusals: { taskId: string; fence: number; reason: string }[] = [];
  readonly acks: { stream: string; taskId: string; fence: number }[] = [];
  readonly cancels: { stream: string; taskId: string }[] = [];
  readonly stores: { task: Task; ending: Ending }[] = [];
  readonly deadLetters: { task: Task; ending: Ending }[] = [];
  readonly attempts: EndedAttempt[] = [];
  readonly endings: { task: Task; ending: Ending }[] = [];
  readonly drops: string[] = [];
  woken = false;

  publishClaim(task: Task, attempt: Attempt): void {
    this.claims.push({ task, attempt });
  }
  claimStored(): void {}
  sendPicture(stream: string, task: Task, fence: number): void {
    this.pictures.push({ stream, taskId: task.taskId, fence });
  }
  refuse(_stream: string, taskId: string, fence: number, reason: string): void {
    this.refusals.push({ taskId, fence, reason });
  }
  acknowledge(stream: string, taskId: string, fence: number): void {
    this.acks.push({ stream, taskId, fence });
  }
  cancelOnWorker(stream: string, taskId: string): void {
    this.cancels.push({ stream, taskId });
  }
  store(task: Task, ending: Ending): void {
    this.stores.push({ task, ending });
  }
  deadLetter(task: Task, ending: Ending): void {
    this.deadLetters.push({ task, ending });
  }
  attemptEnded(_task: Task, attempt: EndedAttempt): void {
    this.attempts.push(attempt);
  }
  ended(task: Task, ending: Ending): void {
    this.endings.push({ task, ending });
  }
  dropped(what: string): void {
    this.drops.push(what);
  }
  endedReason(taskId: string) {
    return this.endings.some(({ task }) => task.taskId === taskId) ? ('finished' as const) : ('unknown-task' as const);
  }
  wake(): void {
    this.woken = true;
  }
}

export function regionViews(nowMs = 0): Map<string, RegionView> {
  const limits = { suspectMs: 1500, downMs: 5000 };
  return new Map(
    REGIONS.map((name, i) => {
      const facts = { name, zone: name, roundTripMs: i * 25, bandwidthMbps: i === 0 ? Infinity : 1000, capacity: 1 };
      const view = new RegionView(facts, limits, nowMs);
      view.heard(nowMs);
      view.reported({ outstanding: 0, capacity: 1, price: 0, workers: 1 }, nowMs);
      return [name, view];
    }),
  );
}

export const DOORS = REGIONS.map((name) => ({ name, zone: `zone-${name}`, grpcAddress: `${name}:1` }));

/** @param entryOf the tenants' records, by key */
export function aResidency(entryOf: (key: string) => Entry | undefined = () => undefined): Residency {
  const state = { get: entryOf, missing: () => [] };
  return new Residency({ region: 'beijing', regions: DOORS, state, isCaughtUp: () => true });
}

export function aDispatcher(windowPerRegion = 64) {
  const ports = new RecordingPorts();
  const regions = regionViews();
  const dispatcher = new Dispatcher({
    term: 1,
    regions,
    ports,
    taskLimits: TASK_LIMITS,
    attemptLimits: { announceTimeoutMs: 60_000, attemptTimeoutMs: 300_000, emptyGraceMs: 1000 },
    windowPerRegion,
    announceGraceMs: 1500,
    isRemoved: () => false,
    readyRegions: () => new Set(REGIONS),
    residency: aResidency(),
  });
  return { ports, regions, dispatcher };
}
