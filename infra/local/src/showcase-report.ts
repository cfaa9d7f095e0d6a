import { join } from 'node:path';
import { formatRecognition, formatTable } from '@meridian/cli';
import type { Sample } from './samples.ts';
import { type Shown, showSamples } from './showcase.ts';
import type { LocalSystem } from './system.ts';

/** Enough at once to keep the entry region busy, so that the others take part. */
const COPIES = 4;
const WINDOW_BYTES = 4 * 2 ** 20;

/**
 * Prints each sample's recognition through each region, then how the work spread when all came at once.
 * @returns the number of photographs that got no answer or lack a label.
 */
export async function printShowcase(
  system: LocalSystem,
  samples: readonly Sample[],
  write: (line: string) => void,
): Promise<number> {
  const up = [...system.regions.values()].filter((region) => region.state === 'up');
  const doors = new Map(up.map((region) => [region.name, system.schedulerAddress(region.name)]));
  const common = { doors, certificates: join(system.paths.certificates, 'client'), windowBytes: WINDOW_BYTES };
  const one = await showSamples({ ...common, samples, copies: 1, onShown: (shown) => write(report(shown)) });
  write(`\nEach photograph ${COPIES} times through each region at once:`);
  const many = await showSamples({ ...common, samples, copies: COPIES, onShown: () => undefined });
  write(spread(many));
  const all = [...one, ...many];
  const failed = all.filter((shown) => shown.problem !== '');
  for (const shown of failed) write(`  ${shown.sample.file} through ${shown.region}: ${shown.problem}`);
  const away = all.filter((shown) => shown.result !== undefined && shown.result.region !== shown.region).length;
  write(
    `\n${all.length} recognitions, ${all.length - failed.length} right, ${failed.length} failed; ${away} ran outside their entry region.`,
  );
  return failed.length;
}

function report(shown: Shown): string {
  const head = `${shown.problem === '' ? '✔' : '✘'} ${shown.sample.file} through ${shown.region}`;
  return shown.result === undefined ? `${head}: ${shown.problem}` : `${head}\n${formatRecognition(shown.result)}`;
}

/** Rows: entry region; columns: regions that ran the work. */
function spread(shown: readonly Shown[]): string {
  const regions = [...new Set(shown.map((one) => one.region))];
  const rows = regions.map((entry) => {
    const own = shown.filter((one) => one.region === entry);
    const times = own.map((one) => one.result?.timings?.totalMs ?? 0).sort((a, b) => a - b);
    const counts = regions.map((ran) => String(own.filter((one) => one.result?.region === ran).length));
    return [
      entry,
      ...counts,
      `${(times[Math.floor(times.length / 2)] ?? 0).toFixed(0)} ms`,
      `${(times.at(-1) ?? 0).toFixed(0)} ms`,
    ];
  });
  return formatTable(['entry', ...regions.map((name) => `ran in ${name}`), 'median', 'slowest'], rows);
}
