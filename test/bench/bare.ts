/**
 * The limit: one process, the same decoding and post-processing code, one session, 8 pictures in flight, nothing else.
 * Started by path.ts with an IPC channel; runs one round for each message and answers with its CPU time.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureCatalogue } from '@meridian/models';
import { openModel } from '@meridian/recognition';
import { systemClock } from '@meridian/runtime';

const IN_FLIGHT = 8;
const [modelsDirectory = '', modelName = '', picturesDirectory = '', count = '0'] = process.argv.slice(2);
const catalogue = await ensureCatalogue({ directory: modelsDirectory });
const entry = catalogue.find(({ name }) => name === modelName);
if (entry === undefined) throw new RangeError(`no model ${modelName}`);
const model = await openModel({
  manifest: entry.manifest,
  read: async (digest) => join(modelsDirectory, 'blobs', digest.replace('sha256:', '')),
  clock: systemClock,
});
const pictures = await Promise.all(
  Array.from({ length: Number(count) }, (_, i) => readFile(join(picturesDirectory, `${i}.jpg`))),
);

process.on('message', async () => {
  const before = process.cpuUsage();
  const startedMs = systemClock.monotonicMs();
  let next = 0;
  // One inference at a time, as a session allows; decoding goes on beside it.
  let inference: Promise<unknown> = Promise.resolve();
  const lane = async (): Promise<void> => {
    for (let picture = pictures[next++]; picture !== undefined; picture = pictures[next++]) {
      const decoded = await model.decode(picture);
      inference = inference.then(() => model.infer(decoded));
      await inference;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const { user, system } = process.cpuUsage(before);
  process.send?.({ cpuMs: (user + system) / 1000, wallMs: systemClock.monotonicMs() - startedMs });
});
process.send?.({ ready: true });
