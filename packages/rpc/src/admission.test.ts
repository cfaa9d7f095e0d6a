import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type ChannelCredentials, Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAuthority, createIdentity } from '@meridian/certificates';
import { RecognitionService } from '@meridian/contracts/recognition';
import { RegionService } from '@meridian/contracts/region';
import { type Channel, createClient, type RpcServer } from './index.ts';
import { addPartial, type Loopback, openLoopback } from './loopback.fixture.ts';

let loopback: Loopback;
let server: RpcServer;
let port: number;
let handled = 0;

beforeAll(async () => {
  loopback = await openLoopback();
  server = await loopback.server();
  const answer = async () => {
    handled += 1;
    return {};
  };
  addPartial(
    server,
    RecognitionService,
    { recognize: answer, getJob: answer },
    { Recognize: ['client'], '*': ['operator'] },
  );
  addPartial(server, RegionService, { listRegions: answer }, {});
  port = await server.listen('127.0.0.1:0');
});
afterAll(() => loopback.close());

/** A call that needs nothing of this package: what a stranger would do. @returns the status code. */
function strangerCalls(path: string, secure: ChannelCredentials): Promise<number> {
  const client = new Client(`127.0.0.1:${port}`, secure, { 'grpc.ssl_target_name_override': 'meridian' });
  const same = (bytes: Buffer) => bytes;
  return new Promise<number>((resolve) => {
    const deadline = Date.now() + 10_000;
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), new Metadata(), { deadline }, (error) =>
      resolve(error?.code ?? 0),
    );
  }).finally(() => client.close());
}

const RECOGNIZE = '/meridian.recognition.v1.RecognitionService/Recognize';
const UNAVAILABLE = 14;

describe('who gets in', () => {
  test('a role that the method names', async () => {
    const client = createClient(RecognitionService, await loopback.channel(port, 'client'));
    await expect(client.recognize({})).resolves.toBeDefined();
  });

  test('another role is refused by a message that names method and role; no handler runs', async () => {
    const before = handled;
    const client = createClient(RecognitionService, await loopback.channel(port, 'worker'));
    await expect(client.recognize({})).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'METHOD_NOT_ALLOWED',
      message: expect.stringContaining('RecognitionService/Recognize is not for the role worker'),
    });
    expect(handled).toBe(before);
  });

  test('a named method is not covered by the star, the others are', async () => {
    const client = createClient(RecognitionService, await loopback.channel(port, 'operator'));
    await expect(client.recognize({})).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(client.getJob({})).resolves.toBeDefined();
  });

  test('a service without an allow-list answers nobody', async () => {
    for (const role of ['worker', 'scheduler', 'sync', 'optimizer', 'client', 'operator']) {
      const client = createClient(RegionService, await loopback.channel(port, role));
      await expect(client.listRegions({})).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    }
  });

  test('a certificate of ours that is no known role', async () => {
    const client = createClient(RecognitionService, await loopback.channel(port, 'broker'));
    await expect(client.recognize({})).rejects.toMatchObject({ code: 'UNAUTHENTICATED', reason: 'PEER_UNKNOWN' });
  });

  test('without TLS, without a certificate, or with one of another authority: not through the handshake', async () => {
    const before = handled;
    const stranger = await createIdentity(await createAuthority(), { role: 'client', region: 'beijing', name: 'x' });
    const ca = Buffer.from(loopback.authority.certificatePem);
    expect(await strangerCalls(RECOGNIZE, credentials.createInsecure())).toBe(UNAVAILABLE);
    expect(await strangerCalls(RECOGNIZE, credentials.createSsl(ca))).toBe(UNAVAILABLE);
    expect(await strangerCalls(RECOGNIZE, credentials.createSsl(ca, stranger.key, stranger.cert))).toBe(UNAVAILABLE);
    expect(handled).toBe(before);
  });

  test('an expired certificate: not through the handshake', async () => {
    const YEAR_MS = 365 * 24 * 3_600_000;
    const old = await createIdentity(loopback.authority, {
      role: 'client',
      region: 'beijing',
      name: 'x',
      clockMs: Date.now() - YEAR_MS,
    });
    expect(await strangerCalls(RECOGNIZE, credentials.createSsl(old.ca, old.key, old.cert))).toBe(UNAVAILABLE);
  });

  test('a method that is not there', async () => {
    const { ca, key, cert } = await loopback.identity('client');
    expect(await strangerCalls('/meridian.recognition.v1.Other/Do', credentials.createSsl(ca, key, cert))).toBe(12);
  });
});

describe('whom a client talks to', () => {
  test('a server of another authority', async () => {
    const other = await createIdentity(await createAuthority(), { role: 'client', region: 'beijing', name: 'x' });
    const channel = await loopback.channel(port, 'client', { tls: other });
    const client = createClient(RecognitionService, channel);
    await expect(client.recognize({})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('a process of ours that has not the role it should have', async () => {
    const wanted = await loopback.channel(port, 'client', { serverRoles: ['scheduler'] });
    await expect(createClient(RecognitionService, wanted).recognize({})).resolves.toBeDefined();
    const other = await loopback.channel(port, 'client', { serverRoles: ['sync'] });
    await expect(createClient(RecognitionService, other).recognize({})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('health and reflection, for every valid certificate', () => {
  /** One request, one response, on a channel of ours. */
  async function ask(channel: Channel, path: string, request: Uint8Array): Promise<Buffer> {
    const call = channel.open(path, Date.now() + 10_000);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: resolve,
      onReceiveStatus: (status) => reject(new Error(`status ${status.code}`)),
    });
    call.sendMessageWithContext({}, Buffer.from(request));
    call.halfClose();
    call.startRead();
    return promise;
  }

  const text = (field: number, value: string) => new BinaryWriter().tag(field, WireType.LengthDelimited).string(value);

  async function healthOf(service: string): Promise<number> {
    const channel = await loopback.channel(port, 'sync');
    const answer = await ask(channel, '/grpc.health.v1.Health/Check', text(1, service).finish());
    const reader = new BinaryReader(answer);
    reader.tag();
    return reader.int32();
  }

  test('health follows setServing, for the server and each service', async () => {
    const names = ['', RecognitionService.typeName, RegionService.typeName];
    expect(await Promise.all(names.map(healthOf))).toEqual([1, 1, 1]);
    server.setServing(false);
    expect(await Promise.all(names.map(healthOf))).toEqual([2, 2, 2]);
    server.setServing(true);
    expect(await Promise.all(names.map(healthOf))).toEqual([1, 1, 1]);
  });

  test.each(['v1', 'v1alpha'])('reflection %s lists the services and describes them', async (version) => {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const channel = await loopback.channel(port, 'worker');
    const services = (await ask(channel, path, text(7, '*').finish())).toString('latin1');
    expect(services).toContain('meridian.recognition.v1.RecognitionService');
    expect(services).toContain('meridian.region.v1.RegionService');
    const files = await ask(channel, path, text(4, 'meridian.recognition.v1.TaskResult').finish());
    expect(files.toString('latin1')).toContain('meridian/recognition/v1/recognition.proto');
  });
});
