import TestRunner from 'jest-runner';

/** For suites that wait more than they compute, on brokers of their own: two at a time, apart from all others. */
export default class PairedRunner extends TestRunner {}
