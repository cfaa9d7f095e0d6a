import { bigJob } from './big-job.ts';
import { garbage } from './garbage.ts';
import { longSuite } from './long-suite.ts';
import { placement } from './placement.ts';
import { rolls } from './rolls.ts';
import type { Scenario } from './scenario.ts';
import { cutOffRestarts, starts } from './starts.ts';
import { state } from './state.ts';

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'big-job': bigJob,
  'cut-off-restarts': cutOffRestarts,
  garbage,
  placement,
  residency: longSuite('residency'),
  'roll-cuts': longSuite('roll-cuts'),
  rolls,
  starts,
  state,
};

const only = process.argv[2] ?? '';
if (only !== '' && SCENARIOS[only] === undefined) {
  process.stderr.write(`no scenario ${only}; there are ${Object.keys(SCENARIOS).join(', ')}\n`);
  process.exit(2);
}
let good = true;
for (const [name, scenario] of Object.entries(SCENARIOS)) {
  if (only !== '' && only !== name) continue;
  const held = await scenario((text) => process.stdout.write(`${name}: ${text}\n`));
  process.stdout.write(`${name}: ${held ? 'held' : 'FAILED'}\n`);
  good = good && held;
}
process.exitCode = good ? 0 : 1;
