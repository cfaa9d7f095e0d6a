import { afterAll, beforeAll } from '@jest/globals';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';
import { doors } from './doors.scenario.ts';
import { rolls } from './rolls.scenario.ts';

/** One system of two regions for the scenarios that need no third. Rolls come first: they are about models' times. */
const START_MS = 120_000;
let running: RunningSystem;

beforeAll(async () => {
  running = await startLocalSystem({ regions: ['beijing', 'shanghai'], auditor: true });
}, START_MS);

afterAll(() => running?.stop(), START_MS);

for (const scenario of [rolls, doors]) scenario(() => running);
