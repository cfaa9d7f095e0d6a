import { type DescMessage, type JsonObject, type MessageShape, toJson } from '@bufbuild/protobuf';
import { type TaskResult, TaskResultSchema } from '@meridian/contracts/recognition';

/** Protobuf's JSON with every field, so that scripts need not know defaults. 64-bit integers are text. */
export function plain<S extends DescMessage>(schema: S, message: MessageShape<S>): JsonObject {
  const json = toJson(schema, message, { alwaysEmitImplicit: true });
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? json : {};
}

/** A result, its picture's digest as `sha256:…` as everywhere else. */
export function resultJson(result: TaskResult): JsonObject {
  const pictureDigest = `sha256:${Buffer.from(result.pictureDigest).toString('hex')}`;
  return { ...plain(TaskResultSchema, result), pictureDigest };
}
