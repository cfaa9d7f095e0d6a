/**
 * Just enough of the protobuf wire format to write an ONNX model: varints, 32-bit floats and length-delimited fields.
 * A full protobuf schema of ONNX would be a thousand lines for the dozen messages that are written here.
 */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

/** One message under construction. Fields are written in the order of the calls, so equal calls give equal bytes. */
export class WireMessage {
  private readonly chunks: Uint8Array[] = [];
  private length = 0;

  /** int32, int64, enum or bool. `value` may be any integer that a JavaScript number holds exactly. */
  integer(field: number, value: number): this {
    this.append(varint(BigInt(field) * 8n + BigInt(VARINT)));
    return this.append(varint(BigInt.asUintN(64, BigInt(value))));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.append(varint(BigInt(field) * 8n + BigInt(FIXED_32)));
    return this.append(bytes);
  }

  bytes(field: number, value: Uint8Array): this {
    this.append(varint(BigInt(field) * 8n + BigInt(LENGTH_DELIMITED)));
    this.append(varint(BigInt(value.byteLength)));
    return this.append(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: WireMessage): this {
    return this.bytes(field, value.finish());
  }

  finish(): Uint8Array {
    const whole = new Uint8Array(this.length);
    let offset = 0;
    for (const chunk of this.chunks) {
      whole.set(chunk, offset);
      offset += chunk.byteLength;
    }
    return whole;
  }

  private append(chunk: Uint8Array): this {
    this.chunks.push(chunk);
    this.length += chunk.byteLength;
    return this;
  }
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
