import { report } from '../../report.ts';
import { learningRows } from '../learning.ts';
import { policyRows } from '../policies.ts';

/** The policies alone, without the solver: `SEEDS=10 WIDE_SEEDS=10 SCENARIO=hot node test/bench/placement/policies/main.ts`. */
const startedAt = new Date();
process.exit((await report('placement-policies', startedAt, [...(await policyRows()), ...learningRows()])) ? 0 : 1);
