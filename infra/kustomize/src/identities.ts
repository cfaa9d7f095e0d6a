import { SERVER_NAME, SERVICES, type Service } from '@meridian/certificates';
import { ROLES, type Role } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { regionOf, type Topology } from '@meridian/topology';
import { split } from './crossing.ts';
import { brokerHosts } from './environment.ts';

/** Programs whose name is not that of their certificate and key. */
const OTHER_NAMES: Readonly<Record<string, Service>> = { nats: 'broker', 'inference-worker': 'worker' };

export interface ProgramIdentity {
  /** Of the certificate. */
  readonly service: Service;
  /** At the broker; a broker itself has none. */
  readonly role: Role | undefined;
}

/** @throws Failure NOT_FOUND / IDENTITY_UNKNOWN for a program that has no certificate in `infra/certificates`. */
export function identityOf(program: string): ProgramIdentity {
  const service = OTHER_NAMES[program] ?? program;
  if (isService(service)) return { service, role: ROLES.find((role) => role === service) };
  throw new Failure('NOT_FOUND', `no certificate is made for ${program}: the list in infra/certificates lacks it`, {
    reason: 'IDENTITY_UNKNOWN',
  });
}

function isService(name: string): name is Service {
  return (SERVICES as readonly string[]).includes(name);
}

/** DNS names of a certificate beside those that every one has: brokers check the name that they dialled. */
export function hostsOf(topology: Topology, region: string, service: Service): readonly string[] {
  const { leafAddress, grpcAddress } = regionOf(topology, region);
  if (service === 'broker') return [...brokerHosts(), split(leafAddress).host];
  return service === 'scheduler' ? [split(grpcAddress).host] : [];
}

export { SERVER_NAME };
