import { z } from 'zod';
import type { Manifest } from './manifest.ts';

/**
 * Custom resources that we use, with all keys that we use of them: kubernetes-types has none of these kinds. A key that is not
 * here is a mistake, in the resource or in this list.
 */
const metadata = z.strictObject({
  name: z.string(),
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
});
const seconds = z.number().int().positive();
const count = z.number().int().min(0);

function resource<S extends z.ZodType>(apiVersion: string, kind: string, spec: S) {
  return z.strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), metadata, spec });
}

const scaledObject = resource(
  'keda.sh/v1alpha1',
  'ScaledObject',
  z.strictObject({
    scaleTargetRef: z.strictObject({ name: z.string() }),
    pollingInterval: seconds,
    cooldownPeriod: seconds,
    minReplicaCount: count,
    maxReplicaCount: count,
    fallback: z.strictObject({ failureThreshold: count, replicas: count }),
    triggers: z
      .array(
        z.strictObject({
          type: z.literal('nats-jetstream'),
          metadata: z.strictObject({
            natsServerMonitoringEndpoint: z.string(),
            account: z.string(),
            stream: z.string(),
            consumer: z.string(),
            // Text, all of them: KEDA reads metadata as strings.
            lagThreshold: z.string().regex(/^\d+$/),
            activationLagThreshold: z.string().regex(/^\d+$/),
            useHttps: z.enum(['true', 'false']),
          }),
        }),
      )
      .min(1),
  }),
);

const serviceMonitor = resource(
  'monitoring.coreos.com/v1',
  'ServiceMonitor',
  z.strictObject({
    selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }),
    endpoints: z
      .array(z.strictObject({ port: z.string(), path: z.string(), interval: z.string().regex(/^\d+s$/) }))
      .min(1),
  }),
);

const certificate = resource(
  'cert-manager.io/v1',
  'Certificate',
  z.strictObject({
    secretName: z.string(),
    issuerRef: z.strictObject({ kind: z.enum(['Issuer', 'ClusterIssuer']), name: z.string() }),
    duration: z.string().regex(/^\d+h$/),
    renewBefore: z.string().regex(/^\d+h$/),
    privateKey: z.strictObject({
      algorithm: z.literal('ECDSA'),
      size: z.literal(256),
      encoding: z.literal('PKCS8'),
      rotationPolicy: z.literal('Always'),
    }),
    usages: z.array(z.enum(['digital signature', 'server auth', 'client auth'])),
    uris: z.array(z.string().startsWith('spiffe://meridian/')).length(1),
    dnsNames: z.array(z.string()).min(1),
    ipAddresses: z.array(z.string()),
  }),
);

const SHAPES: Readonly<Record<string, z.ZodType>> = {
  'keda.sh/v1alpha1 ScaledObject': scaledObject,
  'monitoring.coreos.com/v1 ServiceMonitor': serviceMonitor,
  'cert-manager.io/v1 Certificate': certificate,
};

export function isCustom({ apiVersion, kind }: Manifest): boolean {
  return Object.hasOwn(SHAPES, `${apiVersion} ${kind}`);
}

/** What is wrong with a custom resource, each with the path of its key. */
export function customProblems(object: Manifest): string[] {
  const parsed = SHAPES[`${object.apiVersion} ${object.kind}`]?.safeParse(object);
  return parsed?.success === false
    ? parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    : [];
}
