/** Arguments: first seed, number of seeds. Prints what the first violation was, as JSON. Run with a planted bug. */
import { simulate } from '../../run.ts';

const [first = 1, count = 1] = process.argv.slice(2).map(Number);
let found: { seeds: number | undefined; property: string; message: string } = {
  seeds: undefined,
  property: '',
  message: '',
};
for (let i = 0; i < count && found.seeds === undefined; i++) {
  const { violation } = simulate(first + i);
  if (violation !== undefined) found = { seeds: i + 1, ...violation };
}
process.stdout.write(JSON.stringify(found));
