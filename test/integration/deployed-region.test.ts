import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RecognitionService } from '@meridian/contracts/recognition';
import { createChannel, createClient, loadTls } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import { DeployedRegion, isHealthy, until } from '../support/deployed-region.ts';
import { photograph } from '../support/photographs.ts';

/**
 * Goal: what the manifests say works: brokers of a region lose nothing that they have acknowledged when any of them is killed
 * under load; the services are ready, and recognise, without another region; ready means something. Method: the generated
 * configuration, secrets and environments, real processes, no other region anywhere.
 */
const SERVICES = ['sync', 'scheduler', 'optimizer', 'inference-worker'] as const;
const IN_FLIGHT = 16;
/** Nothing is published while the streams of a killed broker choose a leader. */
const PAUSE_MAX_MS = 25_000;
/** Of the last broker: until streams have a leader again, and services have noticed. */
const BACK_MS = 60_000;

let directory: string;
let deployed: DeployedRegion;
const open: NatsConnection[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-deployed-'));
  deployed = await DeployedRegion.start(directory, 'beijing');
}, 90_000);

afterAll(async () => {
  await Promise.all(open.map((connection) => connection.close()));
  await deployed?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function connectAs(role: 'scheduler' | 'initializer'): Promise<NatsConnection> {
  const { certificates, seedFiles } = deployed.credentials;
  const file = (name: string) => readFile(join(certificates[role], name), 'utf8');
  const connection = await connect({
    servers: deployed.urls,
    authenticator: nkeyAuthenticator(await readFile(seedFiles[role])),
    inboxPrefix: `_INBOX_${role}`,
    tls: { ca: await file('ca.pem'), cert: await file('cert.pem'), key: await file('key.pem') },
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    ignoreClusterUpdates: true,
  });
  open.push(connection);
  return connection;
}

interface StreamFacts {
  readonly config: { readonly num_replicas: number };
  readonly state: { readonly messages: number };
  readonly cluster: { readonly leader?: string; readonly replicas?: readonly { current: boolean }[] };
}

async function ready(): Promise<string[]> {
  const looks = SERVICES.map(async (name) => [
    name,
    await isHealthy(deployed.programs.get(name)?.health ?? '', '/readyz'),
  ]);
  return (await Promise.all(looks)).filter(([, isReady]) => isReady).map(([name]) => String(name));
}

test('services are ready and recognise with no other region there; ready goes with the brokers and comes back', async () => {
  const picture = await photograph('chelsea.png');
  for (const name of SERVICES) await deployed.run(name);
  await until(async () => (await ready()).length === SERVICES.length, BACK_MS).catch(async (error: unknown) => {
    const logs = SERVICES.map((name) => deployed.programs.get(name)?.log().slice(-2_000)).join('\n');
    throw new Error(`ready: ${await ready()}: ${String(error)}\n${logs}`);
  });
  const recognise = async () => {
    const address = deployed.programs.get('scheduler')?.grpc ?? '';
    const channel = createChannel({ address, tls: loadTls(deployed.installation.client), windowBytes: 2 ** 20 });
    const client = createClient(RecognitionService, channel);
    const answer = await client.recognize({ picture }, { timeoutMs: 30_000 }).finally(() => channel.close());
    return answer.result?.outcome.case === 'recognition'
      ? answer.result.outcome.value.objects.map(({ label }) => label)
      : [];
  };
  expect(await recognise()).toContain('cat');
  for (const broker of deployed.brokers) await deployed.kill(broker);
  await until(async () => (await ready()).length === 0);
  for (const name of SERVICES) expect(await isHealthy(deployed.programs.get(name)?.health ?? '', '/livez')).toBe(true);
  const health = deployed.programs.get('sync')?.health;
  expect((await (await fetch(`http://${health}/readyz`)).text()).trim()).toBe('the broker does not answer');
  await Promise.all(deployed.brokers.map((broker) => deployed.launch(broker)));
  await until(async () => (await ready()).length === SERVICES.length, BACK_MS);
  await until(
    () =>
      recognise().then(
        (labels) => labels.includes('cat'),
        () => false,
      ),
    BACK_MS,
  );
  expect(await deployed.stopServices()).toEqual(Object.fromEntries(SERVICES.map((name) => [name, 0])));
}, 240_000);

test('no broker’s death loses what was acknowledged, leader or not', async () => {
  const [publisher, asker] = [await connectAs('scheduler'), await connectAs('initializer')];
  const asked = async (stream: string) =>
    (await asker.request(`$JS.API.STREAM.INFO.${stream}`, '', { timeout: 1_000 })).json<StreamFacts>();
  /** A stream that is choosing a leader does not answer. */
  const facts = async (stream: string) => {
    let found: StreamFacts | undefined;
    const isKnown = async () => {
      found = await asked(stream).catch(() => undefined);
      return found?.cluster?.leader !== undefined;
    };
    await until(isKnown, BACK_MS);
    return found as StreamFacts;
  };
  for (const stream of ['TASKS', 'EVENTS', 'STATE', 'HISTORY', 'JOBS', 'AUDIT'])
    expect((await facts(stream)).config.num_replicas).toBe(deployed.brokers.length);
  const js = jetstream(publisher, { timeout: 2_000 });
  const load = { acknowledged: 0, sent: 0, lastMs: systemClock.monotonicMs(), pauseMs: 0, isOver: false };
  const publish = async () => {
    while (!load.isOver) {
      const subject = `meridian.${deployed.region}.job.cluster.${load.sent++}`;
      try {
        await js.publish(subject, 'x');
      } catch {
        continue; // Not acknowledged: nobody was told that it is there.
      }
      load.acknowledged++;
      const nowMs = systemClock.monotonicMs();
      load.pauseMs = Math.max(load.pauseMs, nowMs - load.lastMs);
      load.lastMs = nowMs;
    }
  };
  const work = Array.from({ length: IN_FLIGHT }, publish);
  const leaders: string[] = [];
  const pauses: number[] = [];
  for (const [i, broker] of deployed.brokers.entries()) {
    await until(() => load.acknowledged > (i + 1) * 100);
    const { leader } = (await facts('JOBS')).cluster;
    leaders.push(leader === broker.name ? 'leader' : 'follower');
    load.pauseMs = 0;
    const before = load.acknowledged;
    await deployed.kill(broker);
    await until(() => load.acknowledged > before + 200);
    pauses.push(load.pauseMs);
    await deployed.launch(broker);
    await until(async () => {
      const replicas = (await facts('JOBS')).cluster.replicas ?? [];
      return replicas.length === deployed.brokers.length - 1 && replicas.every(({ current }) => current);
    });
  }
  load.isOver = true;
  await Promise.all(work);
  const { state } = await facts('JOBS');
  const times = pauses.map((ms, i) => `${leaders[i]} ${Math.round(ms)} ms`).join(', ');
  process.stdout.write(`cluster: ${load.acknowledged} acknowledged, ${state.messages} stored; pauses: ${times}\n`);
  expect(state.messages).toBeGreaterThanOrEqual(load.acknowledged);
  expect(state.messages).toBeLessThanOrEqual(load.sent);
  expect(Math.max(...pauses)).toBeLessThan(PAUSE_MAX_MS);
}, 120_000);
