import { create, toBinary } from '@bufbuild/protobuf';
import { ModelRecordSchema } from '@meridian/contracts/state';
import { canonicalJson, type Manifest, modelDigest } from '@meridian/models';
import { modelKey } from '@meridian/replica';

/** A model as the shared state holds it. Equal manifests give equal bytes: regions that add the same one agree. */
export interface ModelValue {
  readonly key: string;
  readonly name: string;
  readonly digest: string;
  readonly value: Uint8Array;
}

export function modelValue(manifest: Manifest): ModelValue {
  const digest = modelDigest(manifest);
  const record = { name: manifest.name, modelDigest: digest, manifest: canonicalJson(manifest) };
  const value = toBinary(ModelRecordSchema, create(ModelRecordSchema, record));
  return { key: modelKey(manifest.name), name: manifest.name, digest, value };
}
