import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Installation } from '@meridian/certificates';
import { BROKER_PORTS, BROKERS, brokerConfig, ensureSecrets, readSources, secretManifests } from '@meridian/kustomize';
import { freePort } from '@meridian/local';
import { systemClock } from '@meridian/runtime';
import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import { natsServerBinary } from '../support/nats-server.ts';

/**
 * Goal: the three brokers of a region, with the configuration and secrets that a deployment gives them, lose nothing that they have
 * acknowledged when any of them is killed under load. Method: both as they are generated, but for addresses and folders; the real
 * initializer; kill −9 of each in turn.
 */
const repository = resolve(import.meta.dirname, '..', '..');
const REGION = 'beijing';
const IN_FLIGHT = 16;
/** Nothing is published while the streams of a killed broker choose a leader. */
const PAUSE_MAX_MS = 15_000;

interface Broker {
  readonly ports: Readonly<Record<keyof typeof BROKER_PORTS, number>>;
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
  process?: ChildProcess;
}

let directory: string;
let installation: Installation;
let brokers: Broker[];
const open: NatsConnection[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-cluster-'));
  const sources = await readSources(repository);
  // What the floor refuses is left out, as for any broker that is told to be one of its version.
  const text = brokerConfig(sources.topology, REGION).replace(/^.*sync_interval.*\n/m, '');
  installation = await ensureSecrets(join(directory, 'keys'), { ...sources, clockMs: Date.now() });
  const secrets = await secretManifests(installation, sources.topology, REGION, sources.base);
  const variables = secrets.find(({ metadata }) => metadata.name === 'nats-secrets')?.stringData;
  brokers = await Promise.all(Array.from({ length: BROKERS }, (_, i) => prepare(text, i, variables as object)));
  const routes = Object.fromEntries(
    brokers.map(({ ports, environment }, i) => [
      `ROUTE_${i}`,
      String(environment[`ROUTE_${i}`]).replace(/@[^"]*/, `@127.0.0.1:${ports.cluster}`),
    ]),
  );
  for (const broker of brokers) Object.assign(broker.environment, routes);
  await Promise.all(brokers.map(launch));
  await initialize();
}, 90_000);

afterAll(async () => {
  await Promise.all(open.map((connection) => connection.close()));
  for (const broker of brokers ?? []) await kill(broker);
  await rm(directory, { recursive: true, force: true });
});

async function prepare(text: string, i: number, variables: object): Promise<Broker> {
  const root = join(directory, `nats-${i}`);
  await mkdir(root, { recursive: true });
  const names = Object.keys(BROKER_PORTS) as (keyof typeof BROKER_PORTS)[];
  const free = await Promise.all(names.map(async (name) => [name, await freePort()] as const));
  const ports = Object.fromEntries(free) as Broker['ports'];
  let own = text.replace('"/data"', `"${root}/data"`).replace('/run/nats/', `${root}/`);
  own = own.replaceAll('/etc/nats-tls', installation.regions[REGION]?.certificates.broker ?? '');
  for (const name of names) own = own.replaceAll(`0.0.0.0:${BROKER_PORTS[name]}`, `127.0.0.1:${ports[name]}`);
  const file = join(root, 'nats.conf');
  await writeFile(file, own);
  return { ports, file, environment: { ...variables, SERVER_NAME: `${REGION}-nats-${i}` } };
}

async function launch(broker: Broker): Promise<void> {
  broker.process = spawn(natsServerBinary(), ['-c', broker.file], { env: broker.environment, stdio: 'ignore' });
  await until(() => isHealthy(broker, '/healthz?js-enabled=true'));
}

async function kill(broker: Broker): Promise<void> {
  const { process: running } = broker;
  if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
  const gone = once(running, 'exit');
  running.kill('SIGKILL');
  await gone;
}

/** The floor knows `js-enabled`; the deployment's version the names that its probes have. */
async function isHealthy({ ports }: Broker, path: string): Promise<boolean> {
  return fetch(`http://127.0.0.1:${ports.monitor}${path}`).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = systemClock.monotonicMs() + 30_000; systemClock.monotonicMs() < end; await systemClock.sleep(50))
    if (await condition()) return;
  throw new Error('not within 30 s');
}

const urls = () => brokers.map(({ ports }) => `tls://127.0.0.1:${ports.client}`);

/** As a pod's first container: again until it succeeds, because brokers that have just started have no leader yet. */
async function initialize(): Promise<void> {
  const { certificates, seedFiles } = installation.regions[REGION] as Installation['regions'][string];
  const main = join(repository, 'infra', 'initializer', 'src', 'main.ts');
  const env = {
    MERIDIAN_REGION: REGION,
    MERIDIAN_NATS_URL: urls().join(','),
    MERIDIAN_NATS_SEED_FILE: seedFiles.initializer,
    MERIDIAN_TLS_DIRECTORY: certificates.initializer,
    MERIDIAN_IDENTITY_FILE: join(directory, 'identity.json'),
    MERIDIAN_STREAM_REPLICAS: String(BROKERS),
  };
  await until(async () => {
    const [code] = await once(spawn(process.execPath, [main], { env, stdio: 'ignore' }), 'exit');
    return code === 0;
  });
}

async function connectAs(role: 'scheduler' | 'initializer'): Promise<NatsConnection> {
  const { certificates, seedFiles } = installation.regions[REGION] as Installation['regions'][string];
  const file = (name: string) => readFile(join(certificates[role], name), 'utf8');
  const connection = await connect({
    servers: urls(),
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
  readonly cluster: { readonly leader: string; readonly replicas?: readonly { current: boolean }[] };
}

test('no broker’s death loses what was acknowledged, leader or not', async () => {
  const [publisher, asker] = [await connectAs('scheduler'), await connectAs('initializer')];
  const facts = async (stream: string) =>
    (await asker.request(`$JS.API.STREAM.INFO.${stream}`, '', { timeout: 5_000 })).json<StreamFacts>();
  for (const stream of ['TASKS', 'EVENTS', 'STATE', 'HISTORY', 'JOBS', 'AUDIT'])
    expect((await facts(stream)).config.num_replicas).toBe(BROKERS);
  const js = jetstream(publisher, { timeout: 2_000 });
  const load = { acknowledged: 0, sent: 0, lastMs: systemClock.monotonicMs(), pauseMs: 0, isOver: false };
  const publish = async () => {
    while (!load.isOver) {
      const subject = `meridian.${REGION}.job.cluster.${load.sent++}`;
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
  for (const [i, broker] of brokers.entries()) {
    await until(() => load.acknowledged > (i + 1) * 100);
    const { leader } = (await facts('JOBS')).cluster;
    leaders.push(leader === `${REGION}-nats-${i}` ? 'leader' : 'follower');
    load.pauseMs = 0;
    const before = load.acknowledged;
    await kill(broker);
    await until(() => load.acknowledged > before + 200);
    pauses.push(load.pauseMs);
    await launch(broker);
    await until(async () => {
      const replicas = await facts('JOBS')
        .then(({ cluster }) => cluster.replicas ?? [])
        .catch(() => []);
      return replicas.length === BROKERS - 1 && replicas.every(({ current }) => current);
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
