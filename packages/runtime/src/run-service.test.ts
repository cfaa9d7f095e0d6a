import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';

/** Goal: the promises of run-service.ts hold for a real process. Method: a tiny service in a child, signals and exit codes. */
const source = (body: string) => `
import { writeSync } from 'node:fs';
import { z } from 'zod';
import { commonConfig } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
import { runService } from ${JSON.stringify(new URL('./service.ts', import.meta.url).href)};
// Into the pipe of the log, at once: two pipes are read in no order, and a stream writes later than the log does.
const log = (text) => writeSync(2, text + '\\n');
await runService({ name: 'probe', schema: z.object(commonConfig), compose: async ({ config, clock }) => ({ ${body} }) });
`;
const plain = `components: [{ name: 'door', start: async () => {}, drain: async () => log('drained'), stop: async () => log('stopped') }], info: () => ({ port: 7 })`;
const stuck = `components: [{ name: 'door', start: async () => {}, drain: () => { log('draining'); return new Promise(() => setInterval(() => {}, 1000)); }, stop: async () => {} }]`;
const env = {
  MERIDIAN_REGION: 'beijing',
  MERIDIAN_TOPOLOGY_FILE: '/s/regions.yaml',
  MERIDIAN_NATS_URL: 'tls://127.0.0.1:4222',
  MERIDIAN_NATS_SEED_FILE: '/s/worker.seed',
  MERIDIAN_TLS_DIRECTORY: '/s/tls',
  MERIDIAN_STATE_DIRECTORY: '/s',
  MERIDIAN_METRICS_LISTEN: '127.0.0.1:0',
};

const children: ChildProcess[] = [];
function probe(body: string, overrides: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source(body)], {
    cwd: new URL('..', import.meta.url),
    env: { PATH: process.env.PATH ?? '', ...env, ...overrides },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  children.push(child);
  let output = '';
  const lines: { text: string; wake: () => void }[] = [];
  const read = (chunk: Buffer) => {
    output += chunk.toString();
    for (const line of lines) if (output.includes(line.text)) line.wake();
  };
  child.stdout?.on('data', read);
  child.stderr?.on('data', read);
  return {
    child,
    output: () => output,
    ready: () => once(child, 'message').then(([message]) => message as Record<string, unknown>),
    saw: (text: string) => new Promise<void>((wake) => (output.includes(text) ? wake() : lines.push({ text, wake }))),
    closed: () => once(child, 'close').then(([code]) => code as number),
  };
}
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});

describe('runService', () => {
  test('sends ready with its ports, drains and stops on SIGTERM, and ends with 0', async () => {
    const { child, ready, closed, output } = probe(plain);
    expect(await ready()).toMatchObject({ type: 'ready', port: 7, metricsPort: expect.any(Number) });
    child.kill('SIGTERM');
    expect(await closed()).toBe(0);
    expect(output()).toMatch(/"msg":"ready"[\s\S]*drained\nstopped[\s\S]*"msg":"stopped"/);
  });

  test('the health port says why it is not ready: starting, a problem of its own, stopping', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    await new Promise((closed) => free.close(closed));
    const ask = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return `${response.status} ${(await response.text()).trim()}`;
    };
    const body = `components: [{
      name: 'door',
      start: () => new Promise((go) => { process.once('message', go); log('starting'); }),
      drain: () => new Promise((go) => { process.once('message', go); log('draining'); }),
      stop: async () => {} }],
      problem: () => { const why = globalThis.why; globalThis.why = undefined; return why; },
      info: () => { globalThis.why = 'no broker'; return {}; }`;
    const { child, saw, ready, closed } = probe(body, { MERIDIAN_HEALTH_LISTEN: `127.0.0.1:${port}` });
    await saw('starting');
    expect(await ask('/readyz')).toBe('503 starting');
    expect(await ask('/livez')).toBe('200 live');
    const announced = ready();
    child.send('go');
    expect(await announced).toMatchObject({ healthPort: port });
    expect(await ask('/readyz')).toBe('503 no broker');
    expect(await ask('/readyz')).toBe('200 ready');
    expect(await ask('/metrics')).toBe('404 not found');
    child.kill('SIGTERM');
    await saw('draining');
    expect(await ask('/readyz')).toBe('503 stopping');
    expect(await ask('/livez')).toBe('200 live');
    child.send('go');
    expect(await closed()).toBe(0);
  });

  test('a health port that is taken ends it with 1', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { closed, output } = probe(plain, { MERIDIAN_HEALTH_LISTEN: `127.0.0.1:${port}` });
    expect(await closed()).toBe(1);
    expect(output()).toContain(`cannot listen for health on 127.0.0.1:${port}`);
    await new Promise((done) => taken.close(done));
  });

  test('a second signal ends it at once with 1', async () => {
    const { child, ready, closed, saw } = probe(stuck);
    await ready();
    child.kill('SIGINT');
    await saw('draining');
    child.kill('SIGINT');
    expect(await closed()).toBe(1);
  });

  test('a drain that does not end costs the drain time and code 1, not more', async () => {
    const { child, ready, closed, output } = probe(stuck, { MERIDIAN_DRAIN_TIMEOUT_MS: '50' });
    await ready();
    child.kill('SIGTERM');
    expect(await closed()).toBe(1);
    expect(output()).toContain('drain of door was cut short');
  });

  test('a signal during the start stops what was started, and ends it with 0', async () => {
    const slow = `components: [
      { name: 'first', start: async () => log('first started'), stop: async () => log('first stopped') },
      { name: 'second', start: () => { log('starting'); return clock.sleep(300); }, stop: async () => {} },
      { name: 'third', start: async () => log('third started'), stop: async () => {} }]`;
    const { child, saw, closed, output } = probe(slow);
    await saw('starting');
    child.kill('SIGTERM');
    expect(await closed()).toBe(0);
    expect(output()).toContain('first stopped');
    expect(output()).not.toContain('third started');
  });

  test("the parent's end is a signal, too", async () => {
    const { child, ready } = probe(plain);
    await ready();
    // Not `close`: node never emits it after disconnect().
    const exited = once(child, 'exit');
    child.disconnect();
    expect(await exited).toEqual([0, null]);
  });

  test('a wrong configuration ends it with 1 and lists the variables, without a stack trace', async () => {
    const { closed, output } = probe(plain, { MERIDIAN_REGION: '', MERIDIAN_NATS_URL: 'x' });
    expect(await closed()).toBe(1);
    expect(output()).toMatch(/probe: .*\n {2}MERIDIAN_REGION: is required\n {2}MERIDIAN_NATS_URL: /);
    expect(output()).not.toContain('    at ');
  });

  test.each([
    [
      'a component that does not start',
      `components: [{ name: 'door', start: async () => { throw new Error('no port') }, stop: async () => log('stopped') }]`,
      'could not start',
    ],
    [
      'a broken invariant',
      `components: [{ name: 'door', start: async () => { setTimeout(() => { throw new Error('broken') }) }, stop: async () => {} }]`,
      'uncaught exception',
    ],
  ])('%s ends it with 1', async (_, body, expected) => {
    const { closed, output } = probe(body);
    expect(await closed()).toBe(1);
    expect(output()).toContain(expected);
  });
});
