import { createPrivateKey, X509Certificate as NodeCertificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { type Authority, lifeLeft } from './authority.ts';
import { readText } from './files.ts';
import { type IdentityRequest, identityUri } from './identity.ts';

/** Whether the folder holds an identity as requested, signed by this authority, with enough of its life left. */
export async function isCurrent(
  directory: string,
  authority: Authority,
  request: IdentityRequest,
  nowMs: number,
  renewBelow: number,
): Promise<boolean> {
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readText(join(directory, name))),
  );
  if (ca !== authority.certificatePem || cert === undefined || key === undefined) return false;
  try {
    const certificate = new NodeCertificate(cert);
    const names = certificate.subjectAltName?.split(', ') ?? [];
    return (
      certificate.verify(new NodeCertificate(authority.certificatePem).publicKey) &&
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      names.includes(`URI:${identityUri(request)}`) &&
      (request.hosts ?? []).every((host) =>
        isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host),
      ) &&
      lifeLeft(cert, nowMs) > renewBelow
    );
  } catch {
    return false; // damaged: it is made anew, nothing else depends on an identity's own key
  }
}
