import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Failure } from '@meridian/failure';
import { type Sample, type Shown, showSamples } from '@meridian/local';
import type { Clock } from '@meridian/runtime';
import { NAMESPACE, PORTS } from './environment.ts';

/** From the first question: a worker of a region that was just made still loads its models. */
const RECOGNISED_WITHIN_MS = 300_000;
const ASK_AGAIN_MS = 2_000;
const FORWARD_WITHIN_MS = 20_000;
const WINDOW_BYTES = 2 ** 20;

export interface SmokeOptions {
  /** Of the kubeconfig. */
  readonly context: string;
  readonly region: string;
  /** Folder with `ca.pem`, `cert.pem` and `key.pem` of a client. */
  readonly client: string;
  readonly sample: Sample;
  readonly clock: Clock;
}

/**
 * Sends a photograph to the region's scheduler, through the cluster's API server, until it is recognised with its labels.
 * @throws Failure UNAVAILABLE / NOT_RECOGNISED with the last reason.
 */
export async function smoke({ context, region, client, sample, clock }: SmokeOptions): Promise<void> {
  const forward = await forwardTo(context, clock);
  try {
    const untilMs = clock.monotonicMs() + RECOGNISED_WITHIN_MS;
    for (;;) {
      const problem = await problemOf(forward.address, { region, client, sample });
      if (problem === '') return;
      if (clock.monotonicMs() > untilMs)
        throw new Failure('UNAVAILABLE', `no photograph is recognised in ${region}: ${problem}`, {
          reason: 'NOT_RECOGNISED',
        });
      await clock.sleep(ASK_AGAIN_MS);
    }
  } finally {
    forward.child.kill();
  }
}

async function problemOf(
  address: string,
  { region, client, sample }: Pick<SmokeOptions, 'region' | 'client' | 'sample'>,
): Promise<string> {
  const doors = new Map([[region, address]]);
  const onShown = (_: Shown) => undefined;
  const options = { samples: [sample], doors, certificates: client, windowBytes: WINDOW_BYTES, copies: 1, onShown };
  const [shown] = await showSamples(options);
  return shown?.problem ?? 'no answer';
}

/** kubectl takes a free port and says which. */
async function forwardTo(
  context: string,
  clock: Clock,
): Promise<{ readonly child: ChildProcess; readonly address: string }> {
  const target = ['service/scheduler', `:${PORTS.grpc}`];
  const child = spawn('kubectl', ['--context', context, 'port-forward', '--namespace', NAMESPACE, ...target], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  const found = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const address = /127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (address !== undefined) found.resolve(address);
  });
  const fail = (why: string) => found.reject(new Failure('UNAVAILABLE', why, { reason: 'CLUSTER_UNREACHABLE' }));
  once(child, 'close').then(
    () => fail(`kubectl port-forward ended: ${said.trim()}`),
    (error: unknown) => fail(`kubectl port-forward: ${String(error)}`),
  );
  const timer = clock.setTimer(FORWARD_WITHIN_MS, () => fail(`kubectl port-forward says nothing: ${said.trim()}`));
  try {
    return { child, address: await found.promise };
  } catch (error) {
    child.kill();
    throw error;
  } finally {
    timer.cancel();
  }
}
