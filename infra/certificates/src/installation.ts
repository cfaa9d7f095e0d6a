import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { ROLES, type Role } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { Region, Topology } from '@meridian/topology';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { type Authority, createAuthority, lifeLeft } from './authority.ts';
import { readText, writeIdentity, writePublic, writeSecret } from './files.ts';
import { createIdentity, type IdentityRequest } from './identity.ts';
import { isCurrent } from './validity.ts';

/**
 * 1. What is there and still good is kept: running processes and peers know it.
 * 2. Every secret is in a file of its own that only the owner can read; a process is given the folder that it needs.
 * 3. An identity is signed by the authority in `authority/`; when that changes, all identities change.
 */
export const SERVICES = ['scheduler', 'worker', 'sync', 'optimizer', 'broker', 'initializer'] as const;
export type Service = (typeof SERVICES)[number];

/** Renewed when less than this part of its life is left. */
const RENEW_BELOW = 1 / 3;
const SECRET_BYTES = 32;

export interface LinkCredential {
  /** Name of the region that dials. */
  readonly user: string;
  readonly password: string;
}

export interface RegionCredentials {
  /** Folders with `ca.pem`, `cert.pem`, `key.pem`. */
  readonly certificates: Readonly<Record<Service, string>>;
  readonly seedFiles: Readonly<Record<Role, string>>;
  readonly publicKeys: Readonly<Record<Role, string>>;
  /** By peer; both ends of a link have the same. */
  readonly links: Readonly<Record<string, LinkCredential>>;
  /** Encrypts what JetStream stores: losing it loses the region's streams. */
  readonly jetstreamKey: string;
  /** Of the region's brokers among each other, where there are several. */
  readonly routePassword: string;
}

export interface Installation {
  readonly directory: string;
  readonly client: string;
  readonly operator: string;
  readonly regions: Readonly<Record<string, RegionCredentials>>;
}

/**
 * Makes what is missing in `directory`, renews what expires, keeps the rest. One caller at a time.
 * @param o.clockMs wall time.
 * @throws Failure DATA_LOSS / CREDENTIALS_UNREADABLE when a file is there but damaged: delete it to have a new one.
 */
export async function ensureCertificates(o: {
  directory: string;
  topology: Topology;
  clockMs: number;
  /** DNS names or addresses by which an identity is dialled beside those of the topology; default: none. */
  hosts?: (region: string, service: Service) => readonly string[];
}): Promise<Installation> {
  const authority = await ensureAuthority(join(o.directory, 'authority'), o.clockMs);
  const links = await ensureLinks(join(o.directory, 'links.json'), o.topology);
  const ensure = async (path: string, request: IdentityRequest): Promise<string> => {
    const directory = join(o.directory, path);
    if (!(await isCurrent(directory, authority, request, o.clockMs, RENEW_BELOW)))
      await writeIdentity(directory, await createIdentity(authority, { ...request, clockMs: o.clockMs }));
    return directory;
  };
  const regions: Record<string, RegionCredentials> = {};
  for (const region of o.topology.regions) {
    const certificates = {} as Record<Service, string>;
    for (const role of SERVICES)
      certificates[role] = await ensure(join(region.name, role), {
        role,
        region: region.name,
        name: '1',
        hosts: [...new Set([...dialledHosts(region, role), ...(o.hosts?.(region.name, role) ?? [])])],
      });
    regions[region.name] = {
      certificates,
      ...(await ensureRoleKeys(join(o.directory, region.name, 'nkeys'))),
      links: linksOf(region.name, links),
      jetstreamKey: await ensureSecret(join(o.directory, region.name, 'jetstream.key')),
      routePassword: await ensureSecret(join(o.directory, region.name, 'route.key')),
    };
  }
  return {
    directory: o.directory,
    client: await ensure('client', { role: 'client', region: 'external', name: '1' }),
    operator: await ensure('operator', { role: 'operator', region: 'external', name: '1' }),
    regions,
  };
}

async function ensureAuthority(directory: string, nowMs: number): Promise<Authority> {
  const certificatePem = await readText(join(directory, 'ca.pem'));
  const keyPem = await readText(join(directory, 'key.pem'));
  if (certificatePem !== undefined && keyPem !== undefined) {
    const left = guarded(join(directory, 'ca.pem'), () => lifeLeft(certificatePem, nowMs));
    if (left > 0) return { certificatePem, keyPem };
  }
  const authority = await createAuthority({ clockMs: nowMs });
  await writeSecret(join(directory, 'key.pem'), authority.keyPem);
  await writePublic(join(directory, 'ca.pem'), authority.certificatePem);
  return authority;
}

/** Brokers are dialled by peers at the leaf address, schedulers at the gRPC address; the others inside the region. */
function dialledHosts(region: Region, service: Service): readonly string[] {
  const address = service === 'broker' ? region.leafAddress : service === 'scheduler' ? region.grpcAddress : undefined;
  if (address === undefined) return [];
  return [address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '')];
}

async function ensureRoleKeys(directory: string): Promise<Pick<RegionCredentials, 'seedFiles' | 'publicKeys'>> {
  const seedFiles = {} as Record<Role, string>;
  const publicKeys = {} as Record<Role, string>;
  for (const role of ROLES) {
    const seedFile = join(directory, `${role}.seed`);
    const publicFile = join(directory, `${role}.pub`);
    const present = await readText(seedFile);
    const user = present === undefined ? createUser() : guarded(seedFile, () => fromSeed(Buffer.from(present.trim())));
    if (present === undefined) await writeSecret(seedFile, Buffer.from(user.getSeed()));
    const publicKey = user.getPublicKey();
    if ((await readText(publicFile)) !== publicKey) await writePublic(publicFile, publicKey);
    seedFiles[role] = seedFile;
    publicKeys[role] = publicKey;
  }
  return { seedFiles, publicKeys };
}

async function ensureSecret(path: string): Promise<string> {
  const present = (await readText(path))?.trim();
  if (present !== undefined && present !== '') return present;
  // A letter first: a configuration file that takes the value from the environment could read digits as a number.
  const secret = `key-${randomBytes(SECRET_BYTES).toString('hex')}`;
  await writeSecret(path, secret);
  return secret;
}

interface LinkRow extends LinkCredential {
  readonly between: readonly [dialled: string, dialling: string];
}

/** One password per pair; the later region of the topology dials the earlier. */
async function ensureLinks(path: string, topology: Topology): Promise<readonly LinkRow[]> {
  const text = await readText(path);
  const present = text === undefined ? [] : guarded(path, () => JSON.parse(text) as LinkRow[]);
  const names = topology.regions.map((region) => region.name);
  const rows = names.flatMap((dialling, i) =>
    names.slice(0, i).map(
      (dialled): LinkRow =>
        present.find((row) => row.between[0] === dialled && row.between[1] === dialling) ?? {
          between: [dialled, dialling],
          user: dialling,
          password: randomBytes(SECRET_BYTES).toString('hex'),
        },
    ),
  );
  await writeSecret(path, `${JSON.stringify(rows, null, 2)}\n`);
  return rows;
}

function linksOf(region: string, rows: readonly LinkRow[]): Record<string, LinkCredential> {
  const links: Record<string, LinkCredential> = {};
  for (const { between, user, password } of rows) {
    const peer = between[0] === region ? between[1] : between[1] === region ? between[0] : undefined;
    if (peer !== undefined) links[peer] = { user, password };
  }
  return links;
}

function guarded<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new Failure('DATA_LOSS', `${path} is damaged; delete it to have a new one made`, {
      reason: 'CREDENTIALS_UNREADABLE',
      cause,
    });
  }
}
