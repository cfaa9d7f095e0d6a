/** Preloaded into a process (--import): it runs with the change of one source that PLANTED describes. The disk keeps its own. */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { planted } from '../simulation/mutants/mutant.ts';

const { file, source } = planted(JSON.parse(process.env.PLANTED ?? ''));
const url = pathToFileURL(file).href;

registerHooks({
  load(address, context, nextLoad) {
    const loaded = nextLoad(address, context);
    return address === url ? { ...loaded, source } : loaded;
  },
});
