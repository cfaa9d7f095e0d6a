import { headers, type Msg, type MsgHdrs } from '@nats-io/transport-node';
import type { RawMessage } from './inspector.ts';

const NO_HEADER = (): string => '';

export function natsHeaders(...lists: readonly (readonly (readonly [name: string, value: string])[])[]): MsgHdrs {
  const result = headers();
  for (const list of lists) for (const [name, value] of list) result.append(name, value);
  return result;
}

export function rawMessage(message: Msg): RawMessage {
  return { subject: message.subject, header: headerReader(message.headers), data: message.data };
}

export function headerReader(from: MsgHdrs | undefined): (name: string) => string {
  return from === undefined ? NO_HEADER : (name) => from.get(name);
}

/** Header block `NATS/1.0\r\nname: value\r\n…`, as the JetStream API returns it. The first value of a name counts. */
export function blockReader(block: Uint8Array): (name: string) => string {
  const values = new Map<string, string>();
  for (const line of Buffer.from(block).toString('latin1').split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !values.has(line.slice(0, colon))) values.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return (name) => values.get(name) ?? '';
}
