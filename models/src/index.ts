export { type CatalogueModel, type CatalogueOptions, DEFAULT_MODEL, ensureCatalogue } from './catalogue.ts';
export { convertBlazeface, convertCenternet, type GraphModelFiles } from './convert/detectors.ts';
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
export { type AssetPackage, PackageAssets } from './package-assets.ts';
