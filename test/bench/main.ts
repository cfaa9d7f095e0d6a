import { cache } from './cache.ts';
import { link } from './link.ts';
import { path } from './path.ts';
import { placement } from './placement/placement.ts';
import { sync } from './sync.ts';

/** Each measures in one run against its limit or peers, prints a table and writes results/<name>.json. */
const BENCHMARKS: Readonly<Record<string, () => Promise<boolean>>> = { cache, link, path, placement, sync };

const only = process.argv[process.argv.indexOf('--only') + 1] ?? '';
const names = only === '' ? Object.keys(BENCHMARKS) : [only];
let met = true;
for (const name of names) {
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined) {
    process.stderr.write(`no benchmark ${name}; there are ${Object.keys(BENCHMARKS).join(', ')}\n`);
    process.exit(2);
  }
  process.stdout.write(`\n${name}\n`);
  met = (await benchmark()) && met;
}
process.exit(met ? 0 : 1);
