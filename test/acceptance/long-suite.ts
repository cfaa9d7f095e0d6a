import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { repository } from '../support/local-system.ts';
import type { Scenario } from './scenario.ts';

const JEST = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];

/** A suite of test/e2e that takes too long for every run. */
export function longSuite(name: string): Scenario {
  return async () => {
    const path = join('test', 'e2e', `${name}.test.ts`);
    const child = spawn(process.execPath, [...JEST, path], {
      cwd: repository,
      env: { ...process.env, MERIDIAN_LONG_TESTS: '1' },
      stdio: 'inherit',
    });
    const [code] = await once(child, 'exit');
    return code === 0;
  };
}
