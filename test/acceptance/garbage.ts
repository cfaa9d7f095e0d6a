import { flood } from '../garbage/flood.ts';
import type { Scenario } from './scenario.ts';

const SEED = Number(process.env.SEED ?? 1);
const COUNT = Number(process.env.COUNT ?? 1_000_000);

/** A million mutated messages of every kind that a sync service takes, through its way in: none crashes it. */
export const garbage: Scenario = async (say) => {
  const startMs = performance.now();
  const { counts, crashes } = flood(SEED, COUNT);
  let all = 0;
  for (const [type, { gate, codec, valid }] of Object.entries(counts)) {
    all += gate + codec + valid;
    say(`${type}: ${gate} refused at the gate, ${codec} by the codec, ${valid} still valid`);
  }
  for (const crash of crashes) say(crash);
  const seconds = Math.round((performance.now() - startMs) / 1_000);
  say(`${all} mutated messages of seed ${SEED} in ${seconds} s, ${crashes.length} crashes`);
  return crashes.length === 0 && all === COUNT;
};
