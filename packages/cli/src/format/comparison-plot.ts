import type { Comparison } from '@meridian/placement';

const WIDTH = 800;
const LEFT = 170;
const RIGHT = 90;
const TOP = 60;
const ROW = 26;

/** An SVG of one bar a policy: its mean, with a mark at its p99 and a line at the bound; milliseconds, logarithmic. */
export function comparisonPlot({ scenario, seed, bound, results }: Comparison): string {
  const most = Math.max(bound.meanMs, ...results.map(({ p99Ms, meanMs }) => Math.max(p99Ms, meanMs)));
  const [from, until] = [Math.log10(bound.meanMs / 2), Math.log10(most * 1.1)];
  const x = (ms: number) =>
    LEFT + ((Math.log10(Math.max(ms, bound.meanMs / 2)) - from) / (until - from)) * (WIDTH - LEFT - RIGHT);
  const bottom = TOP + ROW * results.length;
  const bars = results.map(({ policy, meanMs, p99Ms, overBound }, at) => {
    const y = TOP + ROW * at;
    const colour = policy === 'meridian' ? '#0b6e4f' : policy.startsWith('oracle') ? '#b8b8b8' : '#4878a8';
    return [
      `<text x="${LEFT - 8}" y="${y + 16}" text-anchor="end">${escaped(policy)}</text>`,
      `<rect x="${LEFT}" y="${y + 4}" width="${fixed(x(meanMs) - LEFT)}" height="${ROW - 8}" fill="${colour}"/>`,
      `<path d="M${fixed(x(p99Ms))} ${y + 2}v${ROW - 4}" stroke="#c0392b" stroke-width="2"/>`,
      `<text x="${WIDTH - RIGHT + 8}" y="${y + 16}">${overBound.toFixed(2)} ×</text>`,
    ].join('');
  });
  const title = `${scenario}, seed ${seed}: mean (bar) and p99 (red) in ms, bound ${bound.meanMs.toFixed(1)} ms (dashed)`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 40}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${bottom + 40}" fill="white"/>`,
    `<text x="${LEFT}" y="24" font-size="14">${escaped(title)}</text>`,
    ...bars,
    `<path d="M${fixed(x(bound.meanMs))} ${TOP - 6}V${bottom + 4}" stroke="black" stroke-dasharray="4 3"/>`,
    ...decades(from, until).map(
      (ms) => `<text x="${fixed(x(ms))}" y="${bottom + 22}" text-anchor="middle">${ms} ms</text>`,
    ),
    '</svg>',
    '',
  ].join('\n');
}

function decades(from: number, until: number): number[] {
  const powers: number[] = [];
  for (let power = Math.ceil(from); power <= until; power++) powers.push(10 ** power);
  return powers;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
}
