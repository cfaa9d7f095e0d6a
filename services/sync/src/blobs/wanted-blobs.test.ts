import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import type { Manifest } from '@meridian/models';
import { modelDigest, parseManifest } from '@meridian/models';
import { type Entry, readyKey } from '@meridian/replica';
import { modelValue } from '../catalogue/model-record.ts';
import { manifestOf, sha256 } from '../region.fixture.ts';
import { WantedBlobs } from './wanted-blobs.ts';

const MEMBERS = { others: ['beijing', 'guangzhou', 'tokyo'] };
const blobOf = (text: string) => `sha256:${sha256(Buffer.from(text))}`;
const model = (text: string, name = 'm') => manifestOf(name, Buffer.from(text));

function version(region: string, counter: number, value: Uint8Array | undefined) {
  const dot = { actor: actorId(region, 1n), counter };
  const hlc = { wallMs: counter, logical: 0 };
  return { dot, hlc, value: value ?? new Uint8Array(0), deleted: value === undefined };
}

function entry(key: string, ...versions: ReturnType<typeof version>[]): Entry {
  return { key, versions, context: VersionVector.of(versions.map(({ dot }) => [dot.actor, dot.counter])) };
}

const modelEntry = (...versions: [region: string, manifest: Manifest][]) =>
  entry('model/m', ...versions.map(([region, manifest], i) => version(region, i + 1, modelValue(manifest).value)));

const ready = (region: string, manifest: Manifest, isReady = true) =>
  entry(readyKey(region, modelDigest(manifest)), version(region, 9, isReady ? Buffer.from('r') : undefined));

test('regions that are ready come first, then the one that added it, then all others; never this one', () => {
  const wanted = new WantedBlobs(MEMBERS);
  wanted.update([modelEntry(['guangzhou', model('x')])]);
  const [digest, bytes] = [blobOf('x'), 1];
  expect(wanted.blobs()).toEqual([{ digest, bytes, sources: ['guangzhou', 'beijing', 'tokyo'] }]);
  wanted.update([ready('tokyo', model('x')), ready('shanghai', model('x'))]);
  expect(wanted.blobs()).toEqual([{ digest, bytes, sources: ['tokyo', 'guangzhou', 'beijing'] }]);
  wanted.update([ready('tokyo', model('x'), false)]);
  expect(wanted.blobs()).toEqual([{ digest, bytes, sources: ['guangzhou', 'beijing', 'tokyo'] }]);
});

test('versions that lost count; weights of several models are wanted once; what is removed is not', () => {
  const wanted = new WantedBlobs(MEMBERS);
  wanted.update([modelEntry(['beijing', model('x')], ['tokyo', model('y')])]);
  expect(wanted.blobs().map(({ digest }) => digest)).toEqual([blobOf('x'), blobOf('y')]);
  const other = model('x', 'n');
  wanted.update([entry('model/n', version('tokyo', 3, modelValue(other).value))]);
  expect(wanted.blobs().map(({ sources }) => sources)).toEqual([
    ['beijing', 'tokyo', 'guangzhou'],
    ['tokyo', 'beijing', 'guangzhou'],
  ]);
  expect(wanted.digestsOf(modelDigest(other))).toEqual([blobOf('x')]);
  wanted.update([entry('model/m', version('tokyo', 4, undefined)), entry('model/n', version('tokyo', 5, undefined))]);
  expect([wanted.blobs(), wanted.named().size, wanted.digestsOf(modelDigest(other))]).toEqual([[], 0, []]);
});

test('golden pictures are wanted and named as weights are', () => {
  const wanted = new WantedBlobs(MEMBERS);
  const objects = [{ label: 'cat', scoreMin: 0.3, overlapMin: 0.5 }];
  const golden = [{ file: 'cat.jpg', digest: blobOf('picture'), bytes: 7, expect: objects }];
  const manifest = parseManifest({ ...model('x'), golden });
  wanted.update([modelEntry(['tokyo', manifest])]);
  expect(wanted.blobs().map(({ digest, bytes }) => [digest, bytes])).toEqual([
    [blobOf('x'), 1],
    [blobOf('picture'), 7],
  ]);
  expect([...wanted.named()]).toEqual([blobOf('x'), blobOf('picture')]);
  expect(wanted.digestsOf(modelDigest(manifest))).toEqual([blobOf('x'), blobOf('picture')]);
});

test('a record or manifest that cannot be read names nothing, and hides no other', () => {
  const wanted = new WantedBlobs(MEMBERS);
  const strange = { ...model('y', 'strange'), decoder: { kind: 'of a later release' } } as unknown as Manifest;
  wanted.update([
    entry('model/broken', version('tokyo', 1, Buffer.from('?'))),
    entry('model/strange', version('tokyo', 2, modelValue(strange).value)),
    entry('label/x', version('tokyo', 3, Buffer.from('l'))),
    modelEntry(['beijing', model('x')]),
  ]);
  expect(wanted.blobs().map(({ digest }) => digest)).toEqual([blobOf('x')]);
});
