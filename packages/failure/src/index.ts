export { CODES, type Code, isCode } from './code.ts';
export { assert, Failure, type FailureOptions } from './failure.ts';
