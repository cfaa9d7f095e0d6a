import TestRunner from 'jest-runner';

/** For suites that start brokers and services of their own: one at a time, so that each has the machine for itself. */
export default class SerialRunner extends TestRunner {
  isSerial = true;
}
