import highsModule from 'highs';
import type { Network } from './network.ts';

/** The package's types describe its CommonJS form: in a module the default export is the function itself. */
const loadHighs = highsModule as unknown as typeof highsModule.default;
const highs = await loadHighs();

/** The cost of the optimum, by a linear program of the same network. */
export function optimumOf({ nodes, root, supply, from, to, capacity, cost: costs }: Network): number {
  const terms = (sign: '+' | '-', node: number, ends: Int32Array) =>
    [...ends].flatMap((end, arc) => (end === node ? [`${sign} x${arc}`] : []));
  const rows = Array.from({ length: nodes }, (_, node) => [...terms('+', node, from), ...terms('-', node, to)])
    .map((row, node) => (node === root || row.length === 0 ? '' : ` n${node}: ${row.join(' ')} = ${supply[node]}`))
    .filter((row) => row !== '');
  const bounds = [...capacity].flatMap((bound, arc) =>
    bound === Number.POSITIVE_INFINITY ? [] : [` x${arc} <= ${bound}`],
  );
  const objective = [...costs].map((each, arc) => `+ ${each} x${arc}`).join(' ');
  const lp = ['Minimize', ` cost: ${objective}`, 'Subject To', ...rows, 'Bounds', ...bounds, 'End'].join('\n');
  const solution = highs.solve(lp, { output_flag: false });
  if (solution.Status !== 'Optimal') throw new Error(`the linear program is ${solution.Status}`);
  return solution.ObjectiveValue;
}
