import highsModule from 'highs';
import type { Network } from './network.ts';

/** The package's types describe its CommonJS form: in a module the default export is the function itself. */
const loadHighs = highsModule as unknown as typeof highsModule.default;
const highs = await loadHighs();

/** minimise Σ cost x, x ≥ 0. */
export interface LinearProgram {
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

export interface Variable {
  readonly name: string;
  readonly cost: number;
  /** Infinity for none. */
  readonly upper: number;
  /** Index of a row, and how much of it one takes. */
  readonly uses: readonly (readonly [row: number, amount: number])[];
}

export interface Row {
  readonly kind: '=' | '<=';
  readonly limit: number;
}

/** CPLEX LP format. */
export function textOf({ variables, rows }: LinearProgram): string {
  const sums = rows.map((): string[] => []);
  for (const { name, uses } of variables) for (const [row, amount] of uses) sums[row]?.push(`+ ${amount} ${name}`);
  const lines = rows.flatMap(({ kind, limit }, i) => {
    const sum = sums[i] ?? [];
    return sum.length === 0 ? [] : [` r${i}: ${sum.join(' ')} ${kind} ${limit}`];
  });
  const objective = variables.map(({ name, cost }) => `+ ${cost} ${name}`).join(' ');
  const bounds = variables.flatMap(({ name, upper }) =>
    upper === Number.POSITIVE_INFINITY ? [] : [` ${name} <= ${upper}`],
  );
  return ['Minimize', ` cost: ${objective}`, 'Subject To', ...lines, 'Bounds', ...bounds, 'End'].join('\n');
}

/** Its least value. */
export function leastOf(program: LinearProgram): number {
  return leastOfText(textOf(program));
}

export function leastOfText(text: string): number {
  const solution = highs.solve(text, { output_flag: false });
  if (solution.Status !== 'Optimal') throw new Error(`the linear program is ${solution.Status}`);
  return solution.ObjectiveValue;
}

/** The cost of the optimal flow, by a linear program of the same network. */
export function optimumOf(network: Network): number {
  return leastOf(programOfNetwork(network));
}

/** Its variables are the arcs, its rows the nodes. */
export function programOfNetwork({ nodes, root, supply, from, to, capacity, cost }: Network): LinearProgram {
  const rows = Array.from({ length: nodes }, (_, node) => ({ kind: '=' as const, limit: supply[node] ?? 0 }));
  const variables = [...cost].map((each, arc) => ({
    name: `x${arc}`,
    cost: each,
    upper: capacity[arc] ?? 0,
    uses: [[from[arc] ?? 0, 1] as const, [to[arc] ?? 0, -1] as const].filter(([node]) => node !== root),
  }));
  return { variables, rows };
}
