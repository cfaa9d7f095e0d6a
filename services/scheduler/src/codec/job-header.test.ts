import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { JobHeaderSchema } from '@meridian/contracts/recognition';
import { checkHeader, headerDigest, PICTURES_MAX } from './job-header.ts';

function header(overrides: MessageInitShape<typeof JobHeaderSchema> = {}) {
  const pictures = [{ digest: new Uint8Array(32), sizeBytes: 1, name: 'a' }];
  return create(JobHeaderSchema, { idempotencyKey: 'k', pictures, ...overrides });
}

describe('checkHeader', () => {
  test('takes the largest header that the contract allows', () => {
    const pictures = Array.from({ length: PICTURES_MAX }, (_, i) => {
      const digest = Buffer.alloc(32);
      digest.writeUInt32BE(i);
      return { digest, sizeBytes: 16 * 2 ** 20, name: 'n'.repeat(256) };
    });
    expect(() => checkHeader(header({ idempotencyKey: 'k'.repeat(128), pictures }))).not.toThrow();
    expect(() => checkHeader(header({ pictures: [...pictures, ...pictures.slice(0, 1)] }))).toThrow(
      'pictures: expected',
    );
  });

  test.each([
    ['idempotency_key', { idempotencyKey: 'k'.repeat(129) }],
    ['tenant', { tenant: 'A' }],
    ['priority', { priority: 99 }],
    ['model', { model: 'm'.repeat(129) }],
    ['residency.regions', { residency: { regions: Array(65).fill('r') } }],
    ['pictures[0].size_bytes', { pictures: [{ digest: new Uint8Array(32), sizeBytes: 16 * 2 ** 20 + 1 }] }],
    ['pictures[0].name', { pictures: [{ digest: new Uint8Array(32), sizeBytes: 1, name: 'ü'.repeat(129) }] }],
    ['pictures[1].size_bytes', { pictures: [1, 2].map((sizeBytes) => ({ digest: new Uint8Array(32), sizeBytes })) }],
  ] as const)('names %s', (field, overrides) => {
    expect(() => checkHeader(header(overrides as MessageInitShape<typeof JobHeaderSchema>))).toThrow(field);
  });

  test('lists many problems shortly', () => {
    const bad = header({ pictures: Array.from({ length: 50 }, () => ({ digest: new Uint8Array(1), sizeBytes: 1 })) });
    expect(() => checkHeader(bad)).toThrow('and 40 more');
  });

  test('the fingerprint changes with the content', () => {
    expect(headerDigest(header())).toEqual(headerDigest(header()));
    expect(headerDigest(header())).not.toEqual(headerDigest(header({ model: 'x' })));
  });
});
