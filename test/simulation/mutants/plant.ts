/** Preloaded into a process (--import): from now on it runs the mutant that MUTANT names. Sources on the disk stay as they are. */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { planted } from './mutant.ts';
import { MUTANTS } from './mutants.ts';

const mutant = MUTANTS.find(({ name }) => name === process.env.MUTANT);
if (mutant === undefined) throw new Error(`no mutant is called ${process.env.MUTANT}`);
const { file, source } = planted(mutant);
const url = pathToFileURL(file).href;

registerHooks({
  load(address, context, nextLoad) {
    const loaded = nextLoad(address, context);
    return address === url ? { ...loaded, source } : loaded;
  },
});
