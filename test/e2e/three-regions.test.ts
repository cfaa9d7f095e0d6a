import { afterAll, beforeAll } from '@jest/globals';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';
import { cache } from './cache.scenario.ts';
import { envelopes } from './envelopes.scenario.ts';
import { jobs } from './jobs.scenario.ts';
import { plan } from './plan.scenario.ts';
import { recognition } from './recognition.scenario.ts';
import { tiling } from './tiling.scenario.ts';

/**
 * One system of three regions for all scenarios that take it as `make run` starts it: its start costs more than most of
 * them. Each leaves it up and healed. Envelopes come first: they are about all that passes since the start; then jobs: their
 * first one is about the order in which regions work that nothing has happened to yet.
 */
const START_MS = 120_000;
let running: RunningSystem;

beforeAll(async () => {
  running = await startLocalSystem({ auditor: true });
}, START_MS);

afterAll(() => running?.stop(), START_MS);

for (const scenario of [envelopes, jobs, recognition, cache, tiling, plan]) scenario(() => running);
