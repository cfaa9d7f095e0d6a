export { type Combination, combinationsOf } from './combination.ts';
export { readSources, type Sources } from './generated-files.ts';
export { parseManifests } from './manifest.ts';
export { render } from './render.ts';
export { validate } from './validate.ts';
