import type { VersionVector } from '@meridian/causality';

/** Whether the event of this name is among those that the vector counts. */
export function covers(vector: VersionVector, dot: string | undefined): boolean {
  if (dot === undefined) return false;
  const at = dot.lastIndexOf('=');
  const actor = dot.slice(0, at);
  const counter = Number(dot.slice(at + 1));
  for (const [other, seen] of vector.entries()) if (other === actor) return seen >= counter;
  return false;
}
