import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';

/**
 * For processes that get an environment of their own: without it each would strip and compile its sources anew, half a
 * second of CPU for every start of a service. `make` and `meridian` name the folder; without them there is none.
 */
const directory = getCompileCacheDir(); // Node adds its version as the last part

export const compileCache: Readonly<Record<string, string>> =
  directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) };
