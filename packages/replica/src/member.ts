import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { ActorId } from '@meridian/causality';
import { MemberRecordSchema, SealRecordSchema } from '@meridian/contracts/state';
import { livesRecord, readLives } from './ended-epochs.ts';

/** What an operator decided about a region. */
export interface Member {
  readonly isRemoved: boolean;
  readonly generation: number;
}

/** How far one member had seen a removed region when it stopped listening to it. */
export interface Seal {
  readonly generation: number;
  readonly seen: readonly (readonly [ActorId, number])[];
}

export function encodeMember(member: Member): Uint8Array {
  return toBinary(MemberRecordSchema, create(MemberRecordSchema, member));
}

/** @returns undefined for bytes that are not a record. */
export function decodeMember(value: Uint8Array): Member | undefined {
  try {
    const { isRemoved, generation } = fromBinary(MemberRecordSchema, value);
    return { isRemoved, generation };
  } catch {
    return undefined;
  }
}

export function encodeSeal({ generation, seen }: Seal): Uint8Array {
  return toBinary(SealRecordSchema, create(SealRecordSchema, { generation, seen: livesRecord(seen) }));
}

/** @returns undefined for bytes that are not a seal of the region. */
export function decodeSeal(region: string, value: Uint8Array): Seal | undefined {
  try {
    const { generation, seen } = fromBinary(SealRecordSchema, value);
    const read = seen === undefined ? [] : readLives(region, seen);
    return read && { generation, seen: read };
  } catch {
    return undefined;
  }
}
