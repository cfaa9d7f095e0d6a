import { readFile } from 'node:fs/promises';
import { LinkEmulator } from '@meridian/links';
import { createChannel, loadTls } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import { runJob } from '../faults/job.ts';
import { variations } from '../faults/pictures.ts';
import { startLocalSystem } from '../support/local-system.ts';
import type { Scenario } from './scenario.ts';

const PICTURES = 2000;
const CUT_MS = 1500;
/** A scheduler that kept all pictures or results in memory would pass this. */
const GROWTH_BYTES_MAX = 256 * 2 ** 20;

/** 2,000 pictures; the client's own link is cut twice while it submits and twice while it watches. */
export const bigJob: Scenario = async (say) => {
  const running = await startLocalSystem();
  const emulator = new LinkEmulator();
  try {
    const pictures = await variations(
      running.provisioned.samples.map(({ path }) => path),
      PICTURES,
      11,
      640,
    );
    const bytes = pictures.reduce((sum, { bytes: { length } }) => sum + length, 0);
    const [host, port] = running.system.schedulerAddress('beijing').split(':');
    const target = { host: host ?? '', port: Number(port) };
    const route = await emulator.open({
      name: 'client',
      link: ['client', 'beijing'],
      target,
      oneWayDelayMs: 10,
      bandwidthMbps: 100,
    });
    const tls = await loadTls(running.system.installation.client);
    const channel = createChannel({ address: `127.0.0.1:${route.port}`, tls, windowBytes: 4 * 2 ** 20 });
    const cut = async (): Promise<void> => {
      emulator.cut('client', 'beijing');
      await systemClock.sleep(CUT_MS);
      emulator.heal('client', 'beijing');
    };
    const pid = running.system.process('beijing', 'scheduler').pid ?? 0;
    const before = await residentBytes(pid);
    let peak = before;
    const uploadMs = ((bytes * 8) / 100e6) * 1000;
    const submitCuts = (async () => {
      for (const share of [0.3, 0.7]) {
        await systemClock.sleep(uploadMs * share);
        say(`cut while submitting (after about ${(share * 100).toFixed(0)} % of ${(uploadMs / 1000).toFixed(0)} s)`);
        await cut();
      }
    })();
    const cutAt = new Set([Math.floor(PICTURES * 0.3), Math.floor(PICTURES * 0.6)]);
    const cuts: Promise<void>[] = [submitCuts];
    const job = await runJob({
      channel,
      pictures,
      model: 'blazeface',
      key: 'big',
      onResult: (count) => {
        if (cutAt.delete(count)) {
          say(`cut while watching, at ${count} results`);
          cuts.push(cut());
        }
        if (count % 100 === 0) void residentBytes(pid).then((now) => (peak = Math.max(peak, now)));
      },
    });
    await Promise.all(cuts);
    channel.close();
    const different = new Set(job.answers.map(({ digest }) => digest)).size;
    say(
      `${job.answers.length} results, ${different} different, in ${(job.durationMs / 1000).toFixed(1)} s; scheduler ${mib(before)} → at most ${mib(peak)} MiB for ${mib(bytes)} MiB of pictures`,
    );
    return job.answers.length === PICTURES && different === PICTURES && peak - before < GROWTH_BYTES_MAX;
  } finally {
    await emulator.close();
    await running.stop();
  }
};

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
