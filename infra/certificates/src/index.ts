export { type Authority, createAuthority } from './authority.ts';
export { writeIdentity } from './files.ts';
export { createIdentity, type Identity, type IdentityRequest, SERVER_NAME } from './identity.ts';
export {
  ensureCertificates,
  type Installation,
  type LinkCredential,
  type RegionCredentials,
  SERVICES,
  type Service,
} from './installation.ts';
