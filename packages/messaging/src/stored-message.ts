import type { NewEntry } from './in-memory-stream.ts';
import type { RawMessage } from './inspector.ts';

/** An event in memory, as the gate takes it. */
export function storedMessage(entry: NewEntry): RawMessage {
  return {
    subject: entry.subject,
    header: (name) => entry.headers.find(([key]) => key === name)?.[1] ?? '',
    data: entry.data,
  };
}
