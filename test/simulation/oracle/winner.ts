import { createHash } from 'node:crypto';
import type { Entry, Version } from '@meridian/replica';

/** S11, in the oracle's own words: a value before any deletion; the latest, then the last region by name, then the highest hash of the content. */
export function expectedWinner(entry: Entry): string {
  const ranked = entry.versions.map((version) => ({ version, rank: rankOf(version) }));
  ranked.sort((a, b) => (a.rank < b.rank ? 1 : -1));
  const first = ranked[0];
  return first === undefined ? 'nobody' : `${first.version.dot.actor}=${first.version.dot.counter}`;
}

function rankOf({ hlc, dot, deleted, value }: Version): string {
  const region = dot.actor.slice(0, dot.actor.lastIndexOf('@'));
  const hash = createHash('sha256')
    .update(deleted ? 'deleted' : 'value')
    .update(value)
    .digest('hex');
  const time = `${String(hlc.wallMs).padStart(16, '0')}.${String(hlc.logical).padStart(6, '0')}`;
  return [deleted ? 0 : 1, time, region.padEnd(64, ' '), hash, dot.actor, String(dot.counter).padStart(16, '0')].join(
    ' ',
  );
}

/** S16: the state as text; equal states have equal text, and only they. */
export function canonicalText(entries: Iterable<Entry>): string {
  const lines = Array.from(entries, ({ key, versions }) => {
    const texts = versions.map(({ dot, hlc, deleted, value, author }) =>
      [
        `${dot.actor}=${dot.counter}`,
        `${hlc.wallMs}.${hlc.logical}`,
        deleted ? 'deleted' : Buffer.from(value).toString('hex'),
        author ?? '',
      ].join(' '),
    );
    return `${key}: ${texts.sort().join(' | ')}`;
  });
  return lines.sort().join('\n');
}
