import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { expect, test } from '@jest/globals';
import { TenantRecordSchema } from '@meridian/contracts/state';
import fc from 'fast-check';
import { parseRule } from './rule-text.ts';
import { decodeTenant, encodeTenant } from './tenant-record.ts';

const unreadable = (message: string) =>
  expect.objectContaining({
    code: 'FAILED_PRECONDITION',
    reason: 'TENANT_UNREADABLE',
    message: expect.stringContaining(message),
  });

test('a record is read as it was written; equal ones have equal bytes', () => {
  const residency = parseRule('only=zone:b,region:a;prefer=region:a');
  const bytes = encodeTenant({ name: 'acme', residency });
  expect(decodeTenant('acme', bytes)).toEqual({ name: 'acme', residency });
  expect(encodeTenant({ name: 'acme', residency: parseRule('prefer=region:a;only=region:a,zone:b') })).toEqual(bytes);
  expect(decodeTenant('acme', encodeTenant({ name: 'acme', residency: {} })).residency).toEqual({});
});

test('what is not wholly understood is unreadable, not without a rule', () => {
  expect(() => decodeTenant('acme', encodeTenant({ name: 'other', residency: {} }))).toThrow(unreadable('"other"'));
  expect(() => decodeTenant('acme', Buffer.from('nonsense'))).toThrow(unreadable('not a tenant record'));
  expect(() => decodeTenant('acme', new Uint8Array())).toThrow(unreadable('the record is of ""'));
  const empty = create(TenantRecordSchema, { name: 'acme', residency: { only: {} } });
  expect(() => decodeTenant('acme', toBinary(TenantRecordSchema, empty))).toThrow(unreadable('names no region'));
  // A part that a later release has: field 9 of the rule.
  const rule = new BinaryWriter().tag(9, WireType.LengthDelimited).string('x').finish();
  const later = new BinaryWriter().tag(1, WireType.LengthDelimited).string('acme');
  later.tag(2, WireType.LengthDelimited).bytes(rule);
  expect(() => decodeTenant('acme', later.finish())).toThrow(unreadable('later release'));
});

test('whatever the bytes are, they are the tenant’s record or a named error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        expect(decodeTenant('acme', bytes).name).toBe('acme');
      } catch (error) {
        expect(error).toMatchObject({ reason: 'TENANT_UNREADABLE' });
      }
    }),
  );
});
