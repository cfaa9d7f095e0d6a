import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ActorId, actorId } from '@meridian/causality';
import { MemberRecordSchema, SealRecordSchema } from '@meridian/contracts/state';
import { ENDED_EPOCHS_MAX, epochOf, livesRecord, readLives } from './ended-epochs.ts';

/** What an operator decided about a region. */
export interface Member {
  readonly isRemoved: boolean;
  readonly generation: number;
}

/** How far one member had seen a removed region when it stopped listening to it. */
export interface Seal {
  readonly generation: number;
  readonly seen: readonly (readonly [ActorId, number])[];
  /** Lives of which it had seen no event, but a context that names them. */
  readonly unseen: readonly ActorId[];
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

export function encodeSeal({ generation, seen, unseen }: Seal): Uint8Array {
  const record = { generation, seen: livesRecord(seen), unseenEpochs: unseen.map(epochOf) };
  return toBinary(SealRecordSchema, create(SealRecordSchema, record));
}

/** @returns undefined for bytes that are not a seal of the region. */
export function decodeSeal(region: string, value: Uint8Array): Seal | undefined {
  try {
    const { generation, seen, unseenEpochs } = fromBinary(SealRecordSchema, value);
    const read = seen === undefined ? [] : readLives(region, seen);
    if (read === undefined || unseenEpochs.length > ENDED_EPOCHS_MAX) return undefined;
    return { generation, seen: read, unseen: unseenEpochs.map((epoch) => actorId(region, epoch)) };
  } catch {
    return undefined;
  }
}
