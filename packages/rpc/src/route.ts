import type { DescMethod, DescService, Message } from '@bufbuild/protobuf';
import { assert, Failure } from '@meridian/failure';
import type { Peer, PeerRole } from './peer.ts';
import type { CallContext } from './service-types.ts';

/** A handler without its message types: what it takes and gives depends on the method's kind. */
export type AnyHandler = (
  input: Message | AsyncIterable<Message>,
  context: CallContext,
) => Promise<object> | AsyncIterable<object>;

/** Method names (as in the proto file, or as in TypeScript), or `*` for those not named, and who may call them. */
export type AllowList = Readonly<Record<string, readonly PeerRole[]>>;

/**
 * Judges a call by its headers, before any message of it is read: throws a Failure to refuse it.
 * @param method its name in TypeScript
 */
export type Admit = (method: string, context: CallContext) => void;

/** One method that a server offers: who may call it and what answers. */
export interface Route {
  readonly method: DescMethod;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly roles: ReadonlySet<PeerRole>;
  readonly handler: AnyHandler;
  readonly admit: Admit | undefined;
}

/** Nobody may call a method that the list does not cover. A name that the service lacks is a programmer's error. */
export function routesOf(
  service: DescService,
  allow: AllowList,
  handlers: Readonly<Record<string, AnyHandler>>,
  admit?: Admit,
): Route[] {
  const names = new Set(['*', ...service.methods.flatMap((method) => [method.name, method.localName])]);
  for (const name of Object.keys(allow)) assert(names.has(name), `${service.typeName} has the method ${name}`);
  return service.methods.map((method) => {
    const handler = handlers[method.localName];
    assert(handler !== undefined, `${service.typeName}.${method.name} has a handler`);
    const roles = allow[method.name] ?? allow[method.localName] ?? allow['*'] ?? [];
    return { method, path: pathOf(method), roles: new Set(roles), handler, admit };
  });
}

export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** @throws Failure PERMISSION_DENIED / METHOD_NOT_ALLOWED naming the method and the role. Not retryable. */
export function authorize(route: Route, peer: Peer): void {
  if (route.roles.has(peer.role)) return;
  const method = `${route.method.parent.typeName}/${route.method.name}`;
  throw new Failure('PERMISSION_DENIED', `${method} is not for the role ${peer.role}`, {
    reason: 'METHOD_NOT_ALLOWED',
    details: { method, role: peer.role },
  });
}
