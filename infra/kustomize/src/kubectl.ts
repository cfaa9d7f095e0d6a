import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Failure } from '@meridian/failure';

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** kubectl at one cluster. Nothing here decides: it runs and tells. */
export interface Kubectl {
  /** @param input what it reads. @throws Failure FAILED_PRECONDITION / KUBECTL_MISSING. */
  run(args: readonly string[], input?: string): Promise<Answer>;
}

/** The first version whose server-side apply and `rollout` do what is asked of them here. */
const VERSION_MIN = [1, 27] as const;

/** @param context of the kubeconfig: always said, so that nothing is ever done to the cluster that happens to be current. */
export function kubectlAt(context: string): Kubectl {
  return {
    async run(args, input = '') {
      const child = spawn('kubectl', ['--context', context, ...args]);
      const output = { stdout: '', stderr: '' };
      child.stdout.on('data', (chunk) => (output.stdout += String(chunk)));
      child.stderr.on('data', (chunk) => (output.stderr += String(chunk)));
      // It may end before it has read everything; its exit code says what that means.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
      const failed = once(child, 'error').then(([cause]) => {
        throw new Failure('FAILED_PRECONDITION', 'there is no kubectl on PATH; 1.27 or later is needed', {
          reason: 'KUBECTL_MISSING',
          cause,
        });
      });
      const [code] = await Promise.race([once(child, 'close'), failed]);
      return { code: typeof code === 'number' ? code : 1, ...output };
    },
  };
}

/** @throws Failure INTERNAL / KUBECTL_FAILED with what it said, and what was being done. */
export async function must(kubectl: Kubectl, doing: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await kubectl.run(args, input);
  if (code === 0) return stdout;
  const said = (stderr || stdout).trim().split('\n').slice(-8).join('\n');
  throw new Failure('FAILED_PRECONDITION', `${doing}: ${said}`, { reason: 'KUBECTL_FAILED' });
}

/** @throws Failure KUBECTL_TOO_OLD; UNAVAILABLE / CLUSTER_UNREACHABLE that says what to look at. */
export async function requireCluster(kubectl: Kubectl): Promise<void> {
  const { code, stdout, stderr } = await kubectl.run(['version', '--output', 'json', '--request-timeout', '10s']);
  const [, major = 0, minor = 0] = (/"gitVersion": "v(\d+)\.(\d+)/.exec(stdout) ?? []).map(Number);
  const [minMajor, minMinor] = VERSION_MIN;
  if (stdout !== '' && (major < minMajor || (major === minMajor && minor < minMinor)))
    throw new Failure('FAILED_PRECONDITION', `kubectl ${major}.${minor} is too old: 1.27 or later is needed`, {
      reason: 'KUBECTL_TOO_OLD',
    });
  if (code === 0) return;
  const said = stderr.trim().split('\n').at(-1) ?? '';
  throw new Failure(
    'UNAVAILABLE',
    `the cluster does not answer (${said}): is KUBE_CONTEXT right? kubectl config get-contexts lists them`,
    {
      reason: 'CLUSTER_UNREACHABLE',
    },
  );
}
