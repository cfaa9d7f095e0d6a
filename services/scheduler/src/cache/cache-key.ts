/** What an answer depends on beside the picture and the version of the model: tiling, where it is asked for. */
export type Parameters = Readonly<Record<string, string | number | boolean>>;

export interface CacheQuestion {
  readonly tenant: string;
  /** sha256, 32 bytes. */
  readonly pictureDigest: Uint8Array;
  readonly modelDigest: string;
  readonly parameters: Parameters;
}

/** The same text for questions that have the same answer, whatever the order of their parameters, and for no others. */
export function cacheKey({ tenant, pictureDigest, modelDigest, parameters }: CacheQuestion): string {
  const picture = Buffer.from(pictureDigest.buffer, pictureDigest.byteOffset, pictureDigest.byteLength);
  return JSON.stringify([tenant, modelDigest, picture.toString('base64'), ...canonical(parameters)]);
}

/** @throws RangeError for a number that JSON cannot tell from others */
function canonical(parameters: Parameters): (readonly [string, string | number | boolean])[] {
  return Object.keys(parameters)
    .sort()
    .map((name) => {
      const value = parameters[name] as string | number | boolean;
      if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError(`parameter ${name}: ${value}`);
      return [name, value] as const;
    });
}
