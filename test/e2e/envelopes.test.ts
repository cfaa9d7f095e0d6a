import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { VersionVector } from '@meridian/causality';
import { decodeEnvelope, type Envelope, parseSubject } from '@meridian/contracts';
import { RecognitionService } from '@meridian/contracts/recognition';
import { createClient } from '@meridian/rpc';
import { runJob } from '../faults/job.ts';
import { variations } from '../faults/pictures.ts';
import { Capture, type Captured } from '../support/capture.ts';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';

/**
 * Goal: version vectors on every event. Method: an auditor reads `>` in every account of three regions during all
 * flows; nothing but what the brokers say themselves may lack a valid envelope.
 */
const START_MS = 120_000;
let running: RunningSystem;
let capture: Capture;
let readyAt: number;

beforeAll(async () => {
  running = await startLocalSystem({ auditor: true });
  capture = await Capture.start(running.system);
  readyAt = capture.messages.length;
  await allFlows();
}, START_MS);

afterAll(async () => {
  await capture?.stop();
  await running?.stop();
}, START_MS);

async function allFlows(): Promise<void> {
  const photographs = running.provisioned.samples.map(({ path }) => path);
  for (const region of running.system.regions.keys()) {
    const door = createClient(RecognitionService, await running.channel(region));
    for (const path of photographs) await door.recognize({ picture: await readFile(path) }, { timeoutMs: 30_000 });
    const pictures = await variations(photographs, 30, 7);
    await runJob({
      channel: await running.channel(region),
      pictures,
      model: '',
      key: `flows-${region}`,
      onResult: () => undefined,
    });
  }
}

/** The broker's own words: acknowledgements of streams, API answers, pull status messages, service-import replies. */
function isBrokers(message: Captured): boolean {
  if (message.subject.startsWith('$JS.') || message.subject.startsWith('$SYS.') || message.subject.startsWith('$NRG.'))
    return true;
  return /^(?:_INBOX|_R_)/.test(message.subject) && message.header('ce-id') === '';
}

function envelopes(): { captured: Captured; envelope: Envelope }[] {
  return capture.messages
    .filter((message) => !isBrokers(message))
    .map((captured) => ({ captured, envelope: decodeEnvelope(captured.header) }));
}

test('every message has a valid envelope and a subject of the table', () => {
  const all = envelopes();
  expect(all.length).toBeGreaterThan(100);
  for (const { captured } of all)
    if (!/^(?:_INBOX|_R_)/.test(captured.subject))
      expect([captured.subject, parseSubject(captured.subject)?.kind]).toEqual([captured.subject, expect.any(String)]);
});

test('what a broker answers on inboxes is an acknowledgement or a status, never an event without envelope', () => {
  const bare = capture.messages.filter(
    (message) => /^(?:_INBOX|_R_)/.test(message.subject) && message.header('ce-id') === '',
  );
  // Acknowledgements and API answers are JSON of the broker; status messages are empty.
  for (const message of bare) expect(message.header('ce-type')).toBe('');
});

test('after READY every vector has entries of at least two regions', () => {
  for (const message of capture.messages.slice(readyAt).filter((one) => !isBrokers(one))) {
    const vector = decodeEnvelope(message.header).vector;
    const regions = new Set(Array.from(vector.entries(), ([actor]) => actor.slice(0, actor.indexOf('@'))));
    expect([message.subject, regions.size >= 2]).toEqual([message.subject, true]);
  }
});

test('the causal graph has no unknown cause, and each vector dominates those of its causes', () => {
  const byId = new Map<string, Envelope>();
  for (const { envelope } of envelopes()) byId.set(envelope.id, envelope);
  const first = firstNumbers();
  let edges = 0;
  for (const envelope of byId.values())
    for (const cause of envelope.causes) {
      const known = byId.get(cause);
      // Sent before the capture was complete: see firstNumbers.
      if (known === undefined && numberOf(cause) < (first.get(emitterOf(cause)) ?? 0)) continue;
      expect([envelope.type, cause, known !== undefined]).toEqual([envelope.type, cause, true]);
      expect(envelope.vector.dominates(known?.vector ?? VersionVector.EMPTY)).toBe(true);
      edges += 1;
    }
  expect(edges).toBeGreaterThan(50);
});

function emitterOf(id: string): string {
  return id.slice(0, id.lastIndexOf('.'));
}

function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf('.') + 1));
}

/**
 * An emitter numbers its events, and its own region's account shows them in that order: what has a lower number than the
 * first one seen there once every account was listened to was sent before.
 */
function firstNumbers(): Map<string, number> {
  const first = new Map<string, number>();
  for (const message of capture.messages.slice(readyAt)) {
    const id = message.header('ce-id');
    if (id === '' || message.account !== 'APP' || !id.startsWith(`${message.region}.`)) continue;
    if (!first.has(emitterOf(id))) first.set(emitterOf(id), numberOf(id));
  }
  return first;
}
