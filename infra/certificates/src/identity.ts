import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { Failure } from '@meridian/failure';
import type { JsonGeneralName } from '@peculiar/x509';
import {
  type Authority,
  CLOCK_SKEW_MS,
  importPrivateKey,
  KEY_ALGORITHM,
  privateKeyPem,
  SIGNING_ALGORITHM,
} from './authority.ts';
import { x509 } from './x509.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
export const IDENTITY_LIFETIME_MS = 90 * DAY_MS;
/** Every server's certificate has this DNS name: callers check that they reached a Meridian process, the URI says which. */
export const SERVER_NAME = 'meridian';
const PART = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export interface IdentityRequest {
  /** First part of the URI after the region; the gRPC allow-lists name it. */
  readonly role: string;
  /** `external` for those who belong to no region. */
  readonly region: string;
  readonly name: string;
  /** DNS names or IP addresses that peers dial, beside `meridian`, `localhost` and 127.0.0.1. At most 16. */
  readonly hosts?: readonly string[];
  /** Wall time; the system's when not given. */
  readonly clockMs?: number;
}

/** Contents of `ca.pem`, `cert.pem`, `key.pem`. */
export interface Identity {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

const HOSTS_MAX = 16;

export function identityUri(request: IdentityRequest): string {
  return `spiffe://meridian/${request.region}/${request.role}/${request.name}`;
}

/**
 * Makes a key pair and its certificate, for both ends of mutual TLS; valid for 90 days.
 * @throws Failure INVALID_ARGUMENT / IDENTITY_INVALID for a role, region or name that the URI cannot hold. Not retryable.
 */
export async function createIdentity(authority: Authority, request: IdentityRequest): Promise<Identity> {
  for (const part of [request.role, request.region, request.name])
    if (!PART.test(part)) throw invalid(`a certificate's role, region and name are lower-case words: ${part}`);
  const hosts = [...new Set([SERVER_NAME, 'localhost', '127.0.0.1', ...(request.hosts ?? [])])];
  if (hosts.length > HOSTS_MAX) throw invalid(`a certificate names at most ${HOSTS_MAX} hosts, not ${hosts.length}`);
  const nowMs = request.clockMs ?? Date.now();
  const issuer = new x509.X509Certificate(authority.certificatePem);
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${request.name}, OU=${request.role}, O=meridian`,
    issuer: issuer.subject,
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(Math.min(nowMs + IDENTITY_LIFETIME_MS, issuer.notAfter.getTime())),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await importPrivateKey(authority.keyPem),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: identityUri(request) },
        ...hosts.map(generalName),
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return {
    ca: Buffer.from(authority.certificatePem),
    cert: Buffer.from(certificate.toString('pem')),
    key: Buffer.from(await privateKeyPem(keys.privateKey)),
  };
}

function generalName(host: string): JsonGeneralName {
  return { type: isIP(host) === 0 ? 'dns' : 'ip', value: host };
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'IDENTITY_INVALID' });
}
