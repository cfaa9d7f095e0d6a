import { isTenant } from '@meridian/contracts';
import { Failure } from '@meridian/failure';

/** @returns `public` for an empty name. @throws Failure INVALID_ARGUMENT / TENANT_INVALID. Not retryable. */
export function tenantOf(text: string): string {
  if (text === '') return 'public';
  if (isTenant(text)) return text;
  throw new Failure('INVALID_ARGUMENT', 'tenant: expected 1–63 of a–z, 0–9 and inner hyphens', {
    reason: 'TENANT_INVALID',
  });
}
