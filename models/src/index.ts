export {
  canonicalJson,
  type DecoderSpec,
  decoderSchema,
  type InputSpec,
  inputSchema,
  type Manifest,
  type ModelPart,
  manifestSchema,
  modelDigest,
  parseManifest,
} from './manifest.ts';
