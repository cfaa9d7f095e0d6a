import { Failure } from '@meridian/failure';
import { CONFIG_NAME_CHARS_MAX, CONFIG_PREFIX, isConfigName, isStateKey, KEY_CHARS_MAX } from '@meridian/replica';

/** @throws Failure INVALID_ARGUMENT / KEY_INVALID for what no key can be. Not retryable. */
export function requireKey(key: string): void {
  if (isStateKey(key)) return;
  const message = `key: expected 1 to ${KEY_CHARS_MAX} characters, as a token of a subject; not *`;
  throw new Failure('INVALID_ARGUMENT', message, { reason: 'KEY_INVALID' });
}

/** @throws Failure INVALID_ARGUMENT / KEY_RESERVED, KEY_INVALID for what people may not write directly. Not retryable. */
export function requireConfigKey(key: string): void {
  if (!key.startsWith(CONFIG_PREFIX))
    throw new Failure(
      'INVALID_ARGUMENT',
      `key: only keys below ${CONFIG_PREFIX} are written here; models, aliases, tenants and members have commands of their own`,
      { reason: 'KEY_RESERVED' },
    );
  if (!isConfigName(key.slice(CONFIG_PREFIX.length)))
    throw new Failure(
      'INVALID_ARGUMENT',
      `key: expected ${CONFIG_PREFIX} and 1 to ${CONFIG_NAME_CHARS_MAX} of letters, digits and _.:~+@=-, with single slashes between; a dot counts three towards 200`,
      { reason: 'KEY_INVALID' },
    );
}
