/**
 * Pixels that a model takes, by its manifest: the largest of its parts.
 * @returns 0 where a part takes pictures of any size, or the manifest does not say.
 */
export function modelPixels(manifest: unknown): number {
  const parts = isRecord(manifest) && isRecord(manifest.parts) ? Object.values(manifest.parts) : [];
  const pixels = parts.map((part) => {
    const input = isRecord(part) ? part.input : undefined;
    if (!isRecord(input)) return 0;
    const { width, height } = input;
    return typeof width === 'number' && typeof height === 'number' ? width * height : 0;
  });
  return pixels.length === 0 || pixels.includes(0) ? 0 : Math.max(...pixels);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
