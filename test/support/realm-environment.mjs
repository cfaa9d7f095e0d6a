import { TestEnvironment } from 'jest-environment-node';

/**
 * jest runs tests in a vm context with its own built-ins; native add-ons (onnxruntime-node) test `instanceof`
 * against those of the main context. Sharing the typed arrays and errors makes both see one class.
 */
const SHARED = [
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
  'Uint8Array',
  'Int8Array',
  'Uint8ClampedArray',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
  'Error',
  'TypeError',
  'RangeError',
  'SyntaxError',
];

export default class RealmEnvironment extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    for (const name of SHARED) if (globalThis[name] !== undefined) this.global[name] = globalThis[name];
  }
}
