import { webcrypto } from 'node:crypto';
import { x509 } from './x509.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Long, because renewing it means restarting every process with new files; leaves are renewed far more often. */
const AUTHORITY_LIFETIME_MS = 5 * 365 * DAY_MS;
/** Machines' clocks differ: a certificate is valid this long before it is made. */
export const CLOCK_SKEW_MS = 60 * 60 * 1000;

export const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
export const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A certificate authority: who holds `keyPem` can make any identity of the installation. */
export interface Authority {
  readonly certificatePem: string;
  /** PKCS #8, not encrypted: its file is readable by the owner only. */
  readonly keyPem: string;
}

/**
 * Makes a new authority (EC P-256, valid for five years, may not make further authorities).
 * Tests call it for one that nobody trusts.
 * @param options.clockMs wall time; the system's when not given.
 */
export async function createAuthority(options: { name?: string; clockMs?: number } = {}): Promise<Authority> {
  const nowMs = options.clockMs ?? Date.now();
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${options.name ?? 'Meridian authority'}`,
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(nowMs + AUTHORITY_LIFETIME_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: certificate.toString('pem'), keyPem: await privateKeyPem(keys.privateKey) };
}

/** @throws TypeError or DOMException when the text is not a PEM of an EC P-256 key. */
export async function importPrivateKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), KEY_ALGORITHM, true, ['sign']);
}

export async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), x509.PemConverter.PrivateKeyTag);
}

/** Part of its life that a certificate still has, from 1 (new) to 0 or less (expired). */
export function lifeLeft(certificatePem: string, nowMs: number): number {
  const { notBefore, notAfter } = new x509.X509Certificate(certificatePem);
  return (notAfter.getTime() - nowMs) / (notAfter.getTime() - notBefore.getTime());
}
