/**
 * Fails a run that is over and does not end: some suite left a timer, a connection or a process behind. Without it jest
 * waits for ever, and nothing says for what.
 */
const GRACE_MS = 20_000;

export default class OpenHandlesReporter {
  onRunComplete(_contexts, results) {
    const suites = results.testResults.filter(
      ({ numFailingTests, testExecError }) => numFailingTests > 0 || testExecError,
    );
    const overdue = setTimeout(() => {
      console.error(`the tests are over, but this keeps the process: ${process.getActiveResourcesInfo().join(', ')}`);
      for (const { testFilePath } of suites) console.error(`perhaps left by ${testFilePath}, which failed`);
      process.exit(1);
    }, GRACE_MS);
    // It must not be what keeps the process.
    overdue.unref();
    // Nothing is left by then. Node's own clean-up of the environment after that was seen to spin for ever (24.21, after some
    // two hundred suites in one process, no handle and no request active), and a run that is over must end.
    process.once('exit', (code) => process.reallyExit(results.success ? code : 1));
  }
}
