import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Dot, parseDot, regionOf, VersionVector } from '@meridian/causality';
import { decodeEnvelope, type Envelope, parseSubject } from '@meridian/contracts';
import { RecognitionService } from '@meridian/contracts/recognition';
import { RegionService } from '@meridian/contracts/region';
import { StateService } from '@meridian/contracts/state';
import { statePaths } from '@meridian/local';
import { type Channel, createClient } from '@meridian/rpc';
import { runJob } from '../faults/job.ts';
import { variations } from '../faults/pictures.ts';
import { Capture, type Captured } from '../support/capture.ts';
import { type RunningSystem, repository, sharedState } from '../support/local-system.ts';
import { until } from '../support/region-brokers.ts';

/**
 * Goal: version vectors on every event. Method: an auditor reads `>` in every account of three regions during all
 * flows; nothing but what the brokers say themselves may lack a valid envelope.
 */
const FLOWS_MS = 120_000;
const READY_MS = 30_000;
let running: RunningSystem;
let capture: Capture;
let readyAt: number;
/** The model that an operator adds in ADDING while everything runs: its dot, and how much was captured before. */
let added: { readonly dot: Dot; readonly at: number };
const ADDING = 'beijing';
const ADDED = 'added-while-running';

/** @param current the system that the suite has started */
export function envelopes(current: () => RunningSystem): void {
  describe('envelopes', () => {
    beforeAll(async () => {
      running = current();
      capture = await Capture.start(running.system);
      readyAt = capture.messages.length;
      await allFlows();
      added = await addModel();
    }, FLOWS_MS);

    afterAll(async () => {
      await capture?.stop();
    });

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

    /** As an operator does it; then every region recognises with the model, as soon as it sees all of them ready for it. */
    async function addModel(): Promise<typeof added> {
      const catalogue = statePaths(sharedState).models;
      const [photograph] = running.provisioned.samples;
      const manifest = await readFile(join(catalogue, 'blazeface', 'manifest.yaml'), 'utf8');
      const [, weights = ''] = /digest: sha256:(\w+)/.exec(manifest) ?? [];
      const manifestFile = join(running.stateRoot, `${ADDED}.yaml`);
      await writeFile(manifestFile, manifest.replace(/^name: .*$/m, `name: ${ADDED}`));
      const at = capture.messages.length;
      const command = [
        'models',
        'add',
        join(catalogue, 'blobs', weights),
        '--manifest',
        manifestFile,
        '--region',
        ADDING,
      ];
      const program = join(repository, 'packages', 'cli', 'src', 'main.ts');
      await promisify(execFile)(process.execPath, [program, '--state', running.stateRoot, ...command]);
      const { models } = await createClient(StateService, await running.syncChannel(ADDING)).listModels({});
      const model = models.find(({ name }) => name === ADDED);
      const dot = parseDot(model?.dot ?? '');
      if (photograph === undefined || model === undefined || dot === undefined)
        throw new Error(`${ADDED} is not there`);
      for (const region of running.system.regions.keys()) {
        const channel = await running.channel(region);
        await until(() => allReady(channel, model.modelDigest), READY_MS);
        const request = { picture: await readFile(photograph.path), model: ADDED };
        await createClient(RecognitionService, channel).recognize(request, { timeoutMs: 30_000 });
      }
      return { dot, at };
    }

    async function allReady(channel: Channel, modelDigest: string): Promise<boolean | string> {
      const { regions } = await createClient(RegionService, channel).listRegions({}, { timeoutMs: 5_000 });
      const lacking = regions.filter(({ modelDigests }) => !modelDigests.includes(modelDigest));
      return lacking.length === 0 || `${ADDED} is not ready in ${lacking.map(({ name }) => name).join(', ')}`;
    }

    /** The broker's own words: acknowledgements of streams, API answers, pull status messages, service-import replies. */
    function isBrokers(message: Captured): boolean {
      if (
        message.subject.startsWith('$JS.') ||
        message.subject.startsWith('$SYS.') ||
        message.subject.startsWith('$NRG.')
      )
        return true;
      return /^(?:_INBOX|_R_)/.test(message.subject) && message.header('ce-id') === '';
    }

    function envelopes(from = 0, to = capture.messages.length): { captured: Captured; envelope: Envelope }[] {
      return capture.messages
        .slice(from, to)
        .filter((message) => !isBrokers(message))
        .map((captured) => ({ captured, envelope: decodeEnvelope(captured.header) }));
    }

    test('every message has a valid envelope and a subject of the table', () => {
      const all = envelopes();
      expect(all.length).toBeGreaterThan(100);
      for (const { captured } of all)
        if (!/^(?:_INBOX|_R_)/.test(captured.subject))
          expect([captured.subject, parseSubject(captured.subject)?.kind]).toEqual([
            captured.subject,
            expect.any(String),
          ]);
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

    test(
      "a model that is added advances its region's entry in what every scheduler, sync service and optimizer sends, in every account",
      async () => {
        const { dot, at } = added;
        expect(regionOf(dot.actor)).toBe(ADDING);
        const before = envelopes(readyAt, at).map(({ envelope }) => envelope.vector.counterOf(dot.actor));
        expect(Math.max(...before)).toBeGreaterThan(0);
        expect(dot.counter).toBeGreaterThan(Math.max(...before));
        const waiting = new Set(flows());
        let next = at;
        await until(() => {
          const end = capture.messages.length;
          for (const { captured, envelope } of envelopes(next, end))
            if (envelope.vector.contains(dot)) waiting.delete(flowOf(captured, envelope));
          next = end;
          return waiting.size === 0 || `no advanced vector: ${[...waiting].join(', ')}`;
        }, READY_MS);
      },
      FLOWS_MS,
    );

    test(
      'a region that has placed a task of the added model sends no older vector any more',
      async () => {
        const { dot, at } = added;
        const isClaim = ({ subject }: Captured) => parseSubject(subject)?.parts.model === ADDED;
        const first = new Map<string, number>();
        for (const { captured, envelope } of envelopes(at)) {
          if (!isClaim(captured)) continue;
          const emitter = emitterOf(envelope.id);
          first.set(emitter, Math.min(first.get(emitter) ?? Number.POSITIVE_INFINITY, numberOf(envelope.id)));
        }
        const senders = Array.from(first.keys(), (emitter) => emitter.slice(0, emitter.indexOf('.')));
        expect(senders.toSorted()).toEqual([...running.system.regions.keys()].toSorted());
        const sinceFirst = () =>
          envelopes(at).filter(
            ({ envelope: { id } }) => numberOf(id) >= (first.get(emitterOf(id)) ?? Number.POSITIVE_INFINITY),
          );
        // A scheduler tells its load every second: something other than the claims comes after them.
        const isOther = ({ captured }: { captured: Captured }) => !isClaim(captured);
        await until(() => sinceFirst().some(isOther) || 'nothing but claims since the first', READY_MS);
        for (const { captured, envelope } of sinceFirst())
          expect([captured.subject, envelope.vector.contains(dot)]).toEqual([captured.subject, true]);
      },
      FLOWS_MS,
    );

    /** Where a message was seen, and which service of which region sent it. */
    function flowOf({ region, account }: Captured, { id }: Envelope): string {
      return `${region} ${account}: ${id.split('.', 2).join(' ')}`;
    }

    /** A region's account has what every region sends, the one of a link what its two ends send. */
    function* flows(): Iterable<string> {
      const regions = [...running.system.regions.keys()];
      for (const region of regions) {
        // Plans stay where they are made.
        yield `${region} APP: ${region} optimizer`;
        for (const sender of regions)
          for (const service of ['scheduler', 'sync']) {
            yield `${region} APP: ${sender} ${service}`;
            if (sender === region) continue;
            yield `${region} L_${sender}: ${region} ${service}`;
            yield `${region} L_${sender}: ${sender} ${service}`;
          }
      }
    }

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
  });
}
