import { bigJob } from './big-job.ts';
import type { Scenario } from './scenario.ts';
import { cutOffRestarts, starts } from './starts.ts';

const SCENARIOS: Readonly<Record<string, Scenario>> = { 'big-job': bigJob, 'cut-off-restarts': cutOffRestarts, starts };

const only = process.argv[2] ?? '';
let good = true;
for (const [name, scenario] of Object.entries(SCENARIOS)) {
  if (only !== '' && only !== name) continue;
  const held = await scenario((text) => process.stdout.write(`${name}: ${text}\n`));
  process.stdout.write(`${name}: ${held ? 'held' : 'FAILED'}\n`);
  good = good && held;
}
process.exitCode = good ? 0 : 1;
