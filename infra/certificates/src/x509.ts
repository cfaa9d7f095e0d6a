import { createRequire } from 'node:module';
import type * as X509 from '@peculiar/x509';

/**
 * The X.509 package needs `reflect-metadata` evaluated before it. Both are CommonJS, which a loader may evaluate while
 * it links, in any order: required one after the other, the order holds everywhere.
 */
const require = createRequire(import.meta.url);
require('reflect-metadata');
export const x509 = require('@peculiar/x509') as typeof X509;
