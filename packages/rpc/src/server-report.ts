import { CODES, type Failure } from '@meridian/failure';
import { attributeNames, contextFromTraceparent, type Logger } from '@meridian/runtime';
import { type Context, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import { TRACEPARENT, TRACESTATE } from './call-metadata.ts';
import type { Peer } from './peer.ts';
import type { Route } from './route.ts';

/** Failures that are the server's own doing: they colour the span and are logged with their cause. */
const OWN_FAULTS: ReadonlySet<string> = new Set(['INTERNAL', 'DATA_LOSS']);
const REFUSALS: ReadonlySet<string> = new Set(['PERMISSION_DENIED', 'UNAUTHENTICATED']);

/** Writes down what calls do: one server span each, and log lines for those that went wrong. */
export class CallReport {
  readonly #logger: Logger;
  readonly #tracer: Tracer;

  constructor(logger: Logger, tracer: Tracer) {
    this.#logger = logger;
    this.#tracer = tracer;
  }

  /** A span under the caller's, and the context that holds it. */
  begin(route: Route, text: ReadonlyMap<string, string>): { span: Span; traceContext: Context } {
    const parent = contextFromTraceparent(text.get(TRACEPARENT), text.get(TRACESTATE));
    const service = route.method.parent.typeName;
    const attributes = { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': route.method.name };
    const options = { kind: SpanKind.SERVER, attributes };
    const span = this.#tracer.startSpan(`${service}/${route.method.name}`, options, parent);
    return { span, traceContext: trace.setSpan(parent, span) };
  }

  end(route: Route, span: Span, peer: Peer | undefined, failure: Failure | undefined): void {
    if (peer !== undefined) span.setAttribute('meridian.peer', `${peer.region}/${peer.role}/${peer.name}`);
    span.setAttribute('rpc.grpc.status_code', failure === undefined ? 0 : CODES[failure.code].grpcStatus);
    if (failure !== undefined) {
      span.setAttributes({ [attributeNames.code]: failure.code, [attributeNames.reason]: failure.reason });
      if (OWN_FAULTS.has(failure.code)) span.setStatus({ code: SpanStatusCode.ERROR, message: failure.reason });
      this.#log(route, span, peer, failure);
    }
    span.end();
  }

  #log(route: Route, span: Span, peer: Peer | undefined, failure: Failure): void {
    const level = OWN_FAULTS.has(failure.code) ? 'error' : REFUSALS.has(failure.code) ? 'warn' : 'debug';
    const { traceId } = span.spanContext();
    const { code, reason } = failure;
    const line = { method: route.path, peer, code, reason, traceId };
    this.#logger[level](level === 'error' ? { ...line, err: failure } : line, 'call failed');
  }
}
