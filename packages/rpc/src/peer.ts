import type { PeerCertificate } from 'node:tls';
import { Failure } from '@meridian/failure';

const PEER_ROLES = ['worker', 'scheduler', 'sync', 'optimizer', 'client', 'operator'] as const;

/** What a process is. Allow-lists name these; the certificate says which one a peer has. */
export type PeerRole = (typeof PEER_ROLES)[number];

/** Who is at the other end, from the SAN URI `spiffe://meridian/<region>/<role>/<name>` of its certificate. */
export interface Peer {
  readonly role: PeerRole;
  readonly region: string;
  readonly name: string;
}

const WORD = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const IDENTITY = new RegExp(`^spiffe://meridian/(${WORD})/(${WORD})/(${WORD})$`);
const URI_ENTRY = 'URI:';

/**
 * Node writes the alternative names as `DNS:a, URI:b` and quotes a value that holds a comma or a quote. Ours hold
 * neither: a quote anywhere is somebody trying to pass off a name as an entry of its own (CVE-2021-44532).
 * SPIFFE: exactly one URI, or the certificate is not an identity.
 * @returns undefined for anything that is not one known identity.
 */
export function peerFromAlternativeNames(names: string): Peer | undefined {
  if (names.includes('"')) return undefined;
  const uris = names.split(', ').filter((entry) => entry.startsWith(URI_ENTRY));
  const match = uris.length === 1 ? IDENTITY.exec((uris[0] ?? '').slice(URI_ENTRY.length)) : null;
  const [, region = '', role = '', name = ''] = match ?? [];
  return isPeerRole(role) ? { role, region, name } : undefined;
}

/** @throws Failure UNAUTHENTICATED / PEER_UNKNOWN when the certificate names no Meridian identity. Not retryable. */
export function peerOf(certificate: PeerCertificate | undefined): Peer {
  const peer = peerFromAlternativeNames(certificate?.subjectaltname ?? '');
  if (peer !== undefined) return peer;
  throw new Failure('UNAUTHENTICATED', 'the certificate names no Meridian identity', { reason: 'PEER_UNKNOWN' });
}

function isPeerRole(text: string): text is PeerRole {
  return (PEER_ROLES as readonly string[]).includes(text);
}
