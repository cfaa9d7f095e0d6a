import type { Random } from '@meridian/runtime';

/** A message on its way: what a broker hands over, and nothing else. */
export interface WireMessage {
  readonly subject: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly data: Uint8Array;
}

type Change = (message: WireMessage, donor: WireMessage, random: Random) => WireMessage;

const OVERSIZE = new Uint8Array(4 * 2 ** 20 + 1);
const HUGE_VARINT = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
const ENDLESS_VARINT = Buffer.alloc(12, 0xff);
const NASTY_TEXTS = [
  '',
  '0',
  '__proto__=1',
  'beijing@0000000000000001=9007199254740993',
  'beijing@0000000000000001=-1',
  'beijing@0000000000000001=00000000001',
  `${'a'.repeat(64)}@0000000000000001=1`,
  Array.from({ length: 65 }, (_, i) => `beijing@${i.toString(16).padStart(16, '0')}=1`).join(','),
  'x'.repeat(9_000),
  '\u0000\uffff',
  '../../../etc/passwd',
  '{"a":1}',
];

/** What happens to the data of a message. */
const DATA_CHANGES: readonly Change[] = [
  onData(flipBits),
  onData((data, random) => data.subarray(0, random.int(data.length + 1))),
  onData((data, random) => data.subarray(random.int(data.length + 1))),
  (message, donor, random) => ({ ...message, data: spliced(message.data, donor.data, random) }),
  (message, donor) => ({ ...message, data: donor.data }),
  onData((data, random) => inserted(data, random.int(data.length + 1), HUGE_VARINT)),
  onData((data, random) => inserted(data, random.int(data.length + 1), ENDLESS_VARINT)),
  onData((data, random) => setByte(data, random, random.int(256))),
  // A length, a field number or a wire type, most of the time near a valid one.
  onData((data, random) => setByte(data, random, random.int(2) === 0 ? 1 : -1, true)),
  onData((data, random) => swapped(data, random)),
  onData((data, random) => textReplaced(data, random)),
  onData((data, random) => randomBytes(random, random.int(Math.max(1, data.length * 2)))),
  onData((data) => Buffer.concat([data, data])),
  onData(() => new Uint8Array(0)),
];

/** What happens to its headers. */
const HEADER_CHANGES: readonly Change[] = [
  onHeaders((headers, random) => headers.toSpliced(random.int(headers.length), 1)),
  onHeaders((headers, random) => withValue(headers, random, NASTY_TEXTS[random.int(NASTY_TEXTS.length)] ?? '')),
  onHeaders((headers, random) => withValue(headers, random, headers[random.int(headers.length)]?.[1] ?? '')),
  onHeaders((headers, random) => withValue(headers, random, '', (value) => textFlipped(value, random))),
  onHeaders(() => []),
  (message, donor) => ({ ...message, headers: donor.headers }),
  (message, donor) => ({ ...message, subject: donor.subject }),
];

/** One of so many is larger than any message may be: each costs as much as many others. */
const OVERSIZE_EVERY = 20_000;

/** Makes garbage of good messages. The same seed gives the same garbage. */
export class Mutator {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** @param donor another good message, of any kind */
  mutate(message: WireMessage, donor: WireMessage): WireMessage {
    const random = this.#random;
    if (random.int(OVERSIZE_EVERY) === 0) return { ...message, data: OVERSIZE };
    let mutated = message;
    // Mostly one change: several hide each other from what is checked last.
    for (let more = true; more; more = random.int(4) === 0) {
      const changes = random.int(4) === 0 ? HEADER_CHANGES : DATA_CHANGES;
      mutated = changes[random.int(changes.length)]?.(mutated, donor, random) ?? mutated;
    }
    return mutated;
  }
}

function onData(change: (data: Uint8Array, random: Random) => Uint8Array): Change {
  return (message, _, random) => ({ ...message, data: change(message.data, random) });
}

function onHeaders(change: (headers: WireMessage['headers'], random: Random) => WireMessage['headers']): Change {
  return (message, _, random) =>
    message.headers.length === 0 ? message : { ...message, headers: change(message.headers, random) };
}

function flipBits(data: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(data);
  if (copy.length === 0) return copy;
  for (let i = random.int(4); i >= 0; i -= 1) {
    const at = random.int(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.int(8));
  }
  return copy;
}

function setByte(data: Uint8Array, random: Random, value: number, isRelative = false): Uint8Array {
  const copy = Uint8Array.from(data);
  if (copy.length === 0) return copy;
  const at = random.int(copy.length);
  copy[at] = isRelative ? (copy[at] ?? 0) + value : value;
  return copy;
}

function inserted(data: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([data.subarray(0, at), bytes, data.subarray(at)]);
}

function spliced(data: Uint8Array, donor: Uint8Array, random: Random): Uint8Array {
  const from = random.int(donor.length + 1);
  const part = donor.subarray(from, from + random.int(64));
  const at = random.int(data.length + 1);
  const skip = random.int(2) === 0 ? part.length : 0;
  return Buffer.concat([data.subarray(0, at), part, data.subarray(at + skip)]);
}

/** Two stretches of the data change places: fields, or parts of them. */
function swapped(data: Uint8Array, random: Random): Uint8Array {
  const [a = 0, b = 0, c = 0] = [0, 0, 0].map(() => random.int(data.length + 1)).sort((x, y) => x - y);
  return Buffer.concat([data.subarray(0, a), data.subarray(b, c), data.subarray(a, b), data.subarray(c)]);
}

/** A run of printable characters, such as a dot, a key or a vector, becomes another one of the same length. */
function textReplaced(data: Uint8Array, random: Random): Uint8Array {
  const copy = Buffer.from(data);
  if (copy.length === 0) return copy;
  const text = NASTY_TEXTS[random.int(NASTY_TEXTS.length)] ?? '';
  const at = random.int(copy.length);
  copy.write(text, at);
  return copy;
}

function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.int(256));
}

function withValue(
  headers: WireMessage['headers'],
  random: Random,
  value: string,
  change: (value: string) => string = () => value,
): WireMessage['headers'] {
  const at = random.int(Math.max(1, headers.length));
  return headers.map(([name, before], i) => [name, i === at ? change(before) : before] as const);
}

function textFlipped(text: string, random: Random): string {
  if (text === '') return 'x';
  const at = random.int(text.length);
  return text.slice(0, at) + String.fromCharCode(33 + random.int(90)) + text.slice(at + 1 + random.int(2));
}
