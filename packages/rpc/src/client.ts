import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { assert } from '@meridian/failure';
import type { Channel } from './channel.ts';
import { ClientCall } from './client-call.ts';
import type { CallOptions, DuplexOpener, RpcClient } from './service-types.ts';

/** A typed client: one function for each method, and {@link DuplexOpener} for bidi ones. Calls start at once. */
export function createClient<S extends DescService>(service: S, channel: Channel): RpcClient<S> & DuplexOpener<S> {
  const client: Record<string, unknown> = {
    openDuplex(name: string, options: CallOptions = {}) {
      const method = service.methods.find((candidate) => candidate.localName === name);
      assert(method?.methodKind === 'bidi_streaming', `${service.typeName}.${name} is a bidi method`);
      return new ClientCall(channel, method, options);
    },
  };
  for (const method of service.methods) {
    assert(!(method.localName in client), `${method.localName} is a free name on clients`);
    client[method.localName] = callerOf(method, channel);
  }
  return client as unknown as RpcClient<S> & DuplexOpener<S>;
}

function callerOf(method: DescMethod, channel: Channel): (input: never, options?: CallOptions) => unknown {
  const open = (options: CallOptions | undefined) => new ClientCall(channel, method, options ?? {});
  switch (method.methodKind) {
    case 'unary':
      return async (request: object, options) => sendOne(open(options), request).onlyMessage();
    case 'server_streaming':
      return (request: object, options) => sendOne(open(options), request).messages;
    case 'client_streaming':
      return async (requests: AsyncIterable<object>, options) => sendAll(open(options), requests).onlyMessage();
    case 'bidi_streaming':
      return (requests: AsyncIterable<object>, options) => sendAll(open(options), requests).messages;
  }
}

function sendOne(call: ClientCall, request: object): ClientCall {
  try {
    call.send(request);
  } catch (thrown) {
    call.cancel(); // it was too large: the call must not stay open without a request
    throw thrown;
  }
  call.end();
  return call;
}

function sendAll(call: ClientCall, requests: AsyncIterable<object>): ClientCall {
  call.sendAll(requests);
  return call;
}
