import { type DescField, type DescMessage, isMessage, type Message, ScalarType, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/**
 * Encoding of messages that carry pictures, with one copy of the large bytes instead of four (the general encoder grows,
 * shifts and trims its buffer; per 110 KB message that was a quarter of the sender's processor time).
 *
 * A protobuf message is the concatenation of its fields in any order. So the fields that hold large bytes, themselves
 * or in a message below, are left out of a shallow copy, the rest is encoded as usual, and they are appended in pieces.
 */
const LARGE_BYTES = 16 * 1024;

type Fields = Record<string, unknown>;

/** The encoded message, or undefined when it holds no large bytes and the general encoder is the faster one. */
export function encodeLarge(schema: DescMessage, message: Message): Buffer | undefined {
  const pieces = split(schema, message);
  return pieces && Buffer.concat(pieces);
}

function split(schema: DescMessage, message: Message): Uint8Array[] | undefined {
  let rest: Fields | undefined;
  const tail: Uint8Array[] = [];
  for (const field of carriers(schema)) {
    const value = fieldValue(message, field);
    const pieces = value === undefined ? undefined : piecesOf(field, value);
    if (pieces === undefined) continue;
    rest ??= Object.assign(Object.create(Object.getPrototypeOf(message)), message) as Fields;
    leaveOut(rest, field);
    tail.push(header(field.number, pieces), ...pieces);
  }
  return rest && [toBinary(schema, rest as unknown as Message), ...tail];
}

function piecesOf(field: DescField, value: unknown): Uint8Array[] | undefined {
  // Wrapper types are plain values in messages: the general way.
  if (field.fieldKind === 'message') return isMessage(value, field.message) ? split(field.message, value) : undefined;
  return value instanceof Uint8Array && value.length >= LARGE_BYTES ? [value] : undefined;
}

function header(fieldNumber: number, pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return new BinaryWriter().tag(fieldNumber, WireType.LengthDelimited).uint32(bytes).finish();
}

function fieldValue(message: Message, field: DescField): unknown {
  const fields = message as unknown as Fields;
  if (field.oneof === undefined) return fields[field.localName];
  const chosen = fields[field.oneof.localName] as { case?: string; value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

/** Empties the field of the copy. Should the encoder write an empty one, the later, large one wins: the wire says so. */
function leaveOut(copy: Fields, field: DescField): void {
  if (field.oneof !== undefined) copy[field.oneof.localName] = { case: undefined };
  else if (field.fieldKind === 'message') delete copy[field.localName];
  else copy[field.localName] = new Uint8Array(0);
}

const carriersOf = new WeakMap<DescMessage, readonly DescField[]>();

/** Singular fields that are bytes, or messages that can hold some. */
function carriers(schema: DescMessage): readonly DescField[] {
  const known = carriersOf.get(schema);
  if (known !== undefined) return known;
  carriersOf.set(schema, []); // a message that holds itself: the inner one goes the general way
  const found = schema.fields.filter(
    (field) =>
      (field.fieldKind === 'scalar' && field.scalar === ScalarType.BYTES) ||
      (field.fieldKind === 'message' && !field.delimitedEncoding && carriers(field.message).length > 0),
  );
  carriersOf.set(schema, found);
  return found;
}
