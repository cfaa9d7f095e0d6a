export { type CatalogueModel, type CatalogueOptions, DEFAULT_MODEL, ensureCatalogue } from './catalogue.ts';
export { convertBlazeface, convertCenternet } from './convert/detectors.ts';
export type { GraphModelFiles } from './convert/graph-model.ts';
export { convertGraph } from './convert/whole-graph.ts';
export { type GoldenPicture, goldenProblem } from './golden.ts';
export {
  blobsOf,
  canonicalJson,
  type DecoderSpec,
  decoderSchema,
  type InputSpec,
  inputSchema,
  type Manifest,
  type ManifestBlob,
  type ModelPart,
  manifestSchema,
  modelDigest,
  parseManifest,
} from './manifest.ts';
export { type AssetPackage, PackageAssets } from './package-assets.ts';
