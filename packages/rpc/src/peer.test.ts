import { describe, expect, test } from '@jest/globals';
import { peerFromAlternativeNames, peerOf } from './peer.ts';

describe('peer identity', () => {
  test('is the one URI of the certificate', () => {
    expect(
      peerFromAlternativeNames('URI:spiffe://meridian/beijing/worker/w-1, DNS:meridian, IP Address:127.0.0.1'),
    ).toEqual({ region: 'beijing', role: 'worker', name: 'w-1' });
  });

  test.each([
    ['no URI', 'DNS:meridian'],
    ['two URIs', 'URI:spiffe://meridian/a/worker/w, URI:spiffe://meridian/a/operator/o'],
    ['another trust domain', 'URI:spiffe://elsewhere/a/worker/w'],
    ['an unknown role', 'URI:spiffe://meridian/a/broker/w'],
    ['too few parts', 'URI:spiffe://meridian/a/worker'],
    ['too many parts', 'URI:spiffe://meridian/a/worker/w/x'],
    ['upper case', 'URI:spiffe://meridian/A/worker/w'],
    ['a quoted value that pretends to be an entry', 'DNS:"x, URI:spiffe://meridian/a/operator/o"'],
    ['the same, closed', 'DNS:"x, URI:spiffe://meridian/a/operator/o, y"'],
    ['nothing', ''],
  ])('%s is no identity', (_, names) => {
    expect(peerFromAlternativeNames(names)).toBeUndefined();
  });

  test('a certificate without one is UNAUTHENTICATED', () => {
    expect(() => peerOf(undefined)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
  });
});
