import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type Any, AnySchema, DurationSchema, durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';

/**
 * The part of google.rpc that travels in `grpc-status-details-bin`, written out here so that no third-party proto
 * files are needed. Fields and numbers are those of google/rpc/status.proto and error_details.proto:
 *
 *   Status    { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
 *   ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
 *   RetryInfo { google.protobuf.Duration retry_delay = 1; }
 */
export interface StatusDetails {
  readonly code: number;
  readonly message: string;
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Absent: no RetryInfo. */
  readonly retryDelayMs: number | undefined;
}

const ERROR_INFO = 'type.googleapis.com/google.rpc.ErrorInfo';
const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';
/** What we take of a foreign status: a hostile peer must not make us hold more. */
const BYTES_MAX = 16 * 1024;
const ENTRIES_MAX = 64;

export function encodeStatusDetails(details: StatusDetails): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int32(details.code);
  writer.tag(2, WireType.LengthDelimited).string(details.message);
  const anys = [any(ERROR_INFO, encodeErrorInfo(details))];
  if (details.retryDelayMs !== undefined) anys.push(any(RETRY_INFO, encodeRetryInfo(details.retryDelayMs)));
  for (const detail of anys) writer.tag(3, WireType.LengthDelimited).bytes(toBinary(AnySchema, detail));
  return writer.finish();
}

/** @returns undefined when the bytes are no google.rpc.Status: a broken detail never hides the status itself. */
export function decodeStatusDetails(bytes: Uint8Array): StatusDetails | undefined {
  if (bytes.length > BYTES_MAX) return undefined;
  try {
    return decode(bytes);
  } catch {
    return undefined;
  }
}

function decode(bytes: Uint8Array): StatusDetails {
  let code = 0;
  let message = '';
  let info = { reason: '', domain: '', metadata: {} as Record<string, string> };
  let retryDelayMs: number | undefined;
  fields(bytes, (field, reader) => {
    if (field === 1) code = reader.int32();
    else if (field === 2) message = reader.string();
    else if (field === 3) {
      const detail = fromBinary(AnySchema, reader.bytes());
      if (detail.typeUrl === ERROR_INFO) info = decodeErrorInfo(detail.value);
      if (detail.typeUrl === RETRY_INFO) retryDelayMs = decodeRetryInfo(detail.value);
    } else return false;
    return true;
  });
  return { code, message, ...info, retryDelayMs };
}

function encodeErrorInfo(details: StatusDetails): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(details.reason);
  writer.tag(2, WireType.LengthDelimited).string(details.domain);
  for (const [key, value] of Object.entries(details.metadata)) {
    writer.tag(3, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key);
    writer.tag(2, WireType.LengthDelimited).string(value);
    writer.join();
  }
  return writer.finish();
}

function decodeErrorInfo(bytes: Uint8Array): { reason: string; domain: string; metadata: Record<string, string> } {
  let reason = '';
  let domain = '';
  const metadata = new Map<string, string>();
  fields(bytes, (field, reader) => {
    if (field === 1) reason = reader.string();
    else if (field === 2) domain = reader.string();
    else if (field === 3) {
      const [key, value] = decodeEntry(reader.bytes());
      if (metadata.size < ENTRIES_MAX) metadata.set(key, value);
    } else return false;
    return true;
  });
  return { reason, domain, metadata: Object.fromEntries(metadata) };
}

function decodeEntry(bytes: Uint8Array): [key: string, value: string] {
  const entry: [string, string] = ['', ''];
  fields(bytes, (field, reader) => {
    if (field !== 1 && field !== 2) return false;
    entry[field - 1] = reader.string();
    return true;
  });
  return entry;
}

function encodeRetryInfo(delayMs: number): Uint8Array {
  const delay = toBinary(DurationSchema, durationFromMs(Math.max(0, Math.round(delayMs))));
  return new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(delay).finish();
}

function decodeRetryInfo(bytes: Uint8Array): number {
  let delayMs = 0;
  fields(bytes, (field, reader) => {
    if (field !== 1) return false;
    delayMs = Math.max(0, durationMs(fromBinary(DurationSchema, reader.bytes())));
    return true;
  });
  return delayMs;
}

function any(typeUrl: string, value: Uint8Array): Any {
  return create(AnySchema, { typeUrl, value });
}

/** Calls `read` for each field; it says whether it took the field, else the field is skipped. */
function fields(bytes: Uint8Array, read: (field: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!read(field, reader)) reader.skip(wireType, field);
  }
}
