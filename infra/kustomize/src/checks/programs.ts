import { Failure } from '@meridian/failure';
import { parseConfig, variableOf } from '@meridian/runtime';
import type { ConfigMap, Container } from 'kubernetes-types/core/v1.js';
import { z } from 'zod';
import { containersOf, placeOf, type Workload, workloadsOf } from '../manifest.ts';
import { programOf } from '../program.ts';
import { type Check, ofKind, type Rendered, servicesOf } from './rendered.ts';

/** Every program of ours would start with what its container gives it: judged by its own schema, not by a copy. */
export const programs: Check = async (rendered) => {
  const looks = workloadsOf(rendered.objects).flatMap((workload) =>
    containersOf(workload).map((container) => programProblems(workload, container, rendered)),
  );
  return (await Promise.all(looks)).flat();
};

/** Names are the schema's, the whole parses, and what it names inside the pod and the region is there. */
async function programProblems(workload: Workload, container: Container, rendered: Rendered): Promise<string[]> {
  const place = `${placeOf(workload)}: container ${container.name}`;
  try {
    const program = await programOf(rendered.repository, container.args ?? []);
    if (program === undefined) return [];
    const environment = environmentIn(container, rendered);
    const known = new Set(Object.keys(program.schema.shape).map(variableOf));
    const unknown = Object.keys(environment).filter((name) => !known.has(name));
    const config = facts.parse(parseConfig(program.schema, environment));
    return [
      ...unknown.map((name) => `${place}: ${program.name} knows no variable ${name}`),
      ...doorProblems(container, config).map((problem) => `${place}: ${problem}`),
      ...pathProblems(container, config).map((problem) => `${place}: ${problem}`),
      ...addressProblems(config, rendered).map((problem) => `${place}: ${problem}`),
    ];
  } catch (error) {
    return [`${place}: ${Failure.from(error).message}`];
  }
}

/** Fields that say something about what is around the program. */
const text = z.string().optional();
const facts = z.object({
  ...{ grpcListen: text, metricsListen: text, healthListen: text, syncAddress: text, natsUrl: text },
  ...{ topologyFile: text, natsSeedFile: text, tlsDirectory: text, stateDirectory: text, blobDirectory: text },
  ...{ identityFile: text },
});
type Facts = z.output<typeof facts>;

/** What a container's variables are when it runs. A reference to the pod is the pod's name. */
function environmentIn({ env, envFrom }: Container, { objects }: Rendered): Record<string, string> {
  const maps = ofKind<ConfigMap>(objects, 'ConfigMap');
  const all: Record<string, string> = {};
  for (const { configMapRef } of envFrom ?? [])
    Object.assign(all, maps.find(({ metadata }) => metadata.name === configMapRef?.name)?.data);
  for (const { name, value, valueFrom } of env ?? [])
    all[name] = value ?? (valueFrom?.fieldRef === undefined ? '' : 'scheduler-6f7b9c8d5f-x2x4z');
  return all;
}

/** Where it listens is a port of its container, and the probes' port is where it answers them. */
function doorProblems({ ports, readinessProbe }: Container, config: Facts): string[] {
  const listening = { grpc: config.grpcListen, metrics: config.metricsListen, health: config.healthListen };
  const problems = Object.entries(listening).flatMap(([name, address]) => {
    const has = ports?.find((port) => port.name === name)?.containerPort;
    const listens = address === undefined ? undefined : Number(address.slice(address.lastIndexOf(':') + 1));
    return has === listens ? [] : [`port ${name} is ${has ?? 'not there'}, and it listens on ${listens ?? 'none'}`];
  });
  const isProbed = readinessProbe !== undefined && readinessProbe.httpGet?.port !== 'health';
  return isProbed ? [...problems, 'its readiness is not asked for at port health'] : problems;
}

/** Its root is read-only and holds none of these: each is below a mount. */
function pathProblems({ volumeMounts }: Container, config: Facts): string[] {
  const { topologyFile, natsSeedFile, tlsDirectory, stateDirectory, blobDirectory, identityFile } = config;
  const read = { topologyFile, natsSeedFile, tlsDirectory };
  const written = { stateDirectory, blobDirectory, identityFile };
  const mountOf = (path: string) =>
    (volumeMounts ?? []).find(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`));
  const lost = Object.entries({ ...read, ...written }).filter(
    ([, path]) => path !== undefined && mountOf(path) === undefined,
  );
  const fixed = Object.entries(written).filter(([, path]) => path !== undefined && mountOf(path)?.readOnly === true);
  return [
    ...lost.map(([name, path]) => `${name} ${path} is below no mount`),
    ...fixed.map(([name, path]) => `${name} ${path} cannot be written to`),
  ];
}

/** Addresses inside the region are names of services there, at ports that those have. */
function addressProblems({ syncAddress, natsUrl }: Facts, rendered: Rendered): string[] {
  const addresses = [
    ...(syncAddress === undefined ? [] : [syncAddress]),
    ...(natsUrl ?? '').split(',').filter(Boolean),
  ];
  return addresses.flatMap((address) => {
    const [host = '', port = ''] = address.replace(/^tls:\/\//, '').split(':');
    // Pods of a StatefulSet are named before its service: `nats-0.nats-headless`.
    const service = servicesOf(rendered).find(({ metadata }) => metadata.name === host.split('.').at(-1));
    const has = service?.spec?.ports?.some((one) => one.port === Number(port));
    return has === true ? [] : [`nothing answers at ${address}`];
  });
}
