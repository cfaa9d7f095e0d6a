import { spawnSync } from 'node:child_process';

/** One transform for all projects: TypeScript as it is, by swc, in native ESM. */
const base = {
  testEnvironment: '<rootDir>/test/support/realm-environment.mjs',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { swcrc: false, sourceMaps: 'inline', jsc: { parser: { syntax: 'typescript' }, target: 'es2024' } },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/.state/', '/dist/'],
};

/** What renders manifests: kubectl is the only tool that cannot be fetched. `.ci/run` fails without it. */
const hasKubectl = spawnSync('kubectl', ['version', '--client'], { stdio: 'ignore' }).status === 0;

/** Nothing but computing: no brokers, no processes, no time that anything is waited for. They share the cores. */
const PURE = ['converter-operations', 'converter-parity', 'recognition-photographs'].map(
  (name) => `**/test/integration/${name}.test.ts`,
);

/** Real brokers, but no figure that depends on how busy the machine is. */
const WAITING = [
  ...[
    'bad-input',
    'broker-authorisation',
    'deployed-region',
    'causal-wait',
    'claim-leftovers',
    'message-bus-regions',
    'sync-garbage',
  ],
  ...['cli-events', 'cli-failures', 'cli-jobs', 'cli-models', 'cli-recognize'],
  ...['scheduler-calls', 'scheduler-jobs', 'scheduler-payload', 'scheduler-regions', 'scheduler-residency'],
  ...['scheduler-rolls', 'scheduler-submissions', 'scheduler-tiling', 'optimizer', 'topology', 'worker'],
  ...['state-api', 'state-log-damage', 'state-sync'],
].map((name) => `**/test/integration/${name}.test.ts`);

/** Too long for every run: `make acceptance ONLY=residency`, `ONLY=roll-cuts`. */
const LONG = ['residency', 'roll-cuts'].map((name) => `**/test/e2e/${name}.test.ts`);

/** Two at a time, apart from all others. */
const paired = { ...base, runner: '<rootDir>/test/support/paired-runner.mjs' };

/** Suites of real brokers and services: one after the other, when the others are done. */
const serial = { ...base, runner: '<rootDir>/test/support/serial-runner.mjs' };

export default {
  maxWorkers: '100%',
  projects: [
    {
      ...base,
      displayName: 'unit',
      testMatch: [
        '<rootDir>/{packages,services,infra}/*/src/**/*.test.ts',
        '<rootDir>/models/src/**/*.test.ts',
        '<rootDir>/test/{tidy,faults,bench,simulation,rolls,state}/*.test.ts',
        ...(hasKubectl ? [] : ['!**/*.kubectl.test.ts']),
      ],
    },
    { ...paired, displayName: 'contract', testMatch: ['<rootDir>/test/contract/**/*.test.ts'] },
    {
      ...base,
      displayName: 'integration',
      testMatch: PURE,
    },
    { ...paired, displayName: 'integration', testMatch: WAITING },
    ...(process.env.MERIDIAN_LONG_TESTS === '1' ? [{ ...serial, displayName: 'long', testMatch: LONG }] : []),
    {
      ...serial,
      displayName: 'integration',
      testMatch: ['<rootDir>/test/integration/**/*.test.ts', ...[...PURE, ...WAITING].map((path) => `!${path}`)],
    },
    {
      ...serial,
      displayName: 'e2e',
      testMatch: ['<rootDir>/test/e2e/**/*.test.ts', ...LONG.map((path) => `!${path}`)],
    },
  ],
  reporters: ['default', '<rootDir>/test/support/open-handles-reporter.mjs'],
  // Jest takes it from here only, not from a project.
  testTimeout: 60000,
};
