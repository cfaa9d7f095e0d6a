import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flood } from '../garbage/flood.ts';
import { Target } from '../garbage/target.ts';
import type { Scenario } from './scenario.ts';

const SEED = Number(process.env.SEED ?? 1);
const COUNT = Number(process.env.COUNT ?? 1_000_000);

/**
 * A million mutated messages of every kind that a sync service takes through its way in, in memory; then a million that
 * are certainly wrong through a real broker into a real service: no crash, no change of its state, each counted.
 */
export const garbage: Scenario = async (say) => {
  const held = inMemory(say);
  return (await overTheBroker(say)) && held;
};

function inMemory(say: (text: string) => void): boolean {
  const startMs = performance.now();
  const { counts, crashes } = flood(SEED, COUNT);
  let all = 0;
  for (const [type, { gate, codec, valid }] of Object.entries(counts)) {
    all += gate + codec + valid;
    say(`${type}: ${gate} refused at the gate, ${codec} by the codec, ${valid} still valid`);
  }
  for (const crash of crashes) say(crash);
  say(`${all} mutated messages of seed ${SEED} in ${secondsSince(startMs)} s, ${crashes.length} crashes`);
  return crashes.length === 0 && all === COUNT;
}

async function overTheBroker(say: (text: string) => void): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-garbage-'));
  const target = await Target.open(directory);
  try {
    const startMs = performance.now();
    const [before, { pid }] = [await target.state(), target.sync];
    const sent = await target.flood(SEED, COUNT);
    const [after, refused] = [await target.state(), await target.refused()];
    for (const [type, count] of sent) say(`${type}: ${count} over the broker`);
    const isSame = before === after && target.sync.pid === pid;
    const isLogged = target.sync.log.includes('refused');
    const kept = `${isSame ? 'same process and state' : 'ANOTHER process or state'}, ${isLogged ? 'logged' : 'NOT logged'}`;
    const undelivered = target.lost === 0 ? '' : `, ${target.lost} not delivered: the connection broke`;
    say(
      `${COUNT} wrong messages over the broker in ${secondsSince(startMs)} s: ${refused} counted${undelivered}, ${kept}`,
    );
    return isSame && isLogged && refused + target.lost === COUNT;
  } finally {
    await target.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function secondsSince(startMs: number): number {
  return Math.round((performance.now() - startMs) / 1_000);
}
