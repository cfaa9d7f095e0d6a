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

export default {
  projects: [
    {
      ...base,
      displayName: 'unit',
      testMatch: [
        '<rootDir>/{packages,services,infra}/*/src/**/*.test.ts',
        '<rootDir>/models/src/**/*.test.ts',
        '<rootDir>/test/{tidy,faults,bench,simulation,rolls,state}/*.test.ts',
      ],
    },
    { ...base, displayName: 'contract', testMatch: ['<rootDir>/test/contract/**/*.test.ts'] },
    { ...base, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.test.ts'] },
    { ...base, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.test.ts'] },
  ],
  // Jest takes it from here only, not from a project.
  testTimeout: 60000,
};
