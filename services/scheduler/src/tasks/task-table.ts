import type { PlacementWindow } from '../placement/window.ts';
import { openAttempt, type Task } from './task.ts';

/**
 * The open tasks of this owner, found by id, by the stream that holds them, by the region whose queue holds them, and by
 * the work they belong to.
 *
 * 1. `put` is the only way in and keeps all indexes and the placement window equal to the tasks' states.
 * 2. An ended task is not in the table.
 */
export class TaskTable {
  readonly #tasks = new Map<string, Task>();
  readonly #byStream = new Map<string, Set<string>>();
  /** Claims that a region's queue has and no worker announced. */
  readonly #queuedByRegion = new Map<string, Set<string>>();
  readonly #byWork = new Map<string, Set<string>>();
  readonly #window: PlacementWindow;

  constructor(window: PlacementWindow) {
    this.#window = window;
  }

  get size(): number {
    return this.#tasks.size;
  }

  get(taskId: string): Task | undefined {
    return this.#tasks.get(taskId);
  }

  put(task: Task): void {
    const before = this.#tasks.get(task.taskId);
    if (before === undefined) insert(this.#byWork, task.work.key, task.taskId);
    else this.#unlink(before);
    if (task.state.kind === 'ended') {
      this.#tasks.delete(task.taskId);
      remove(this.#byWork, task.work.key, task.taskId);
      return;
    }
    this.#tasks.set(task.taskId, task);
    this.#link(task);
  }

  /** Copies: the caller changes tasks while it iterates. */
  onStream(stream: string): Task[] {
    return this.#all(this.#byStream.get(stream));
  }

  queuedIn(region: string): Task[] {
    return this.#all(this.#queuedByRegion.get(region));
  }

  ofWork(key: string): Task[] {
    return this.#all(this.#byWork.get(key));
  }

  /** One open task of each work, for deadlines: these are the same for all tasks of a work. */
  *works(): Iterable<Task> {
    for (const ids of this.#byWork.values()) {
      for (const id of ids) {
        const task = this.#tasks.get(id);
        if (task !== undefined) yield task;
        break;
      }
    }
  }

  /** Every open attempt; at most three windows a region. */
  *attempted(): Iterable<Task> {
    for (const index of [this.#queuedByRegion, this.#byStream]) for (const ids of index.values()) yield* this.#all(ids);
  }

  #link(task: Task): void {
    const attempt = openAttempt(task);
    if (attempt === undefined) return;
    this.#window.enter(attempt.region, task.work.priority);
    if (attempt.stream !== undefined) insert(this.#byStream, attempt.stream, task.taskId);
    else insert(this.#queuedByRegion, attempt.region, task.taskId);
  }

  #unlink(task: Task): void {
    const attempt = openAttempt(task);
    if (attempt === undefined) return;
    this.#window.leave(attempt.region, task.work.priority);
    if (attempt.stream !== undefined) remove(this.#byStream, attempt.stream, task.taskId);
    else remove(this.#queuedByRegion, attempt.region, task.taskId);
  }

  #all(ids: ReadonlySet<string> | undefined): Task[] {
    const tasks: Task[] = [];
    if (ids === undefined) return tasks;
    for (const id of ids) {
      const task = this.#tasks.get(id);
      if (task !== undefined) tasks.push(task);
    }
    return tasks;
  }
}

function insert(index: Map<string, Set<string>>, key: string, taskId: string): void {
  const ids = index.get(key);
  if (ids === undefined) index.set(key, new Set([taskId]));
  else ids.add(taskId);
}

function remove(index: Map<string, Set<string>>, key: string, taskId: string): void {
  const ids = index.get(key);
  if (ids?.delete(taskId) && ids.size === 0) index.delete(key);
}
