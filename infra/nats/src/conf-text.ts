import { assert } from '@meridian/failure';

/** A value of nats-server's configuration language. */
export type ConfValue =
  | string
  | number
  | boolean
  | Variable
  | readonly ConfValue[]
  | { readonly [key: string]: ConfValue };

/** Taken from the server's environment when it starts. */
export class Variable {
  readonly name: string;
  constructor(name: string) {
    assert(/^[A-Z][A-Z0-9_]*$/.test(name), `a variable of the environment has an upper-case name, not ${name}`);
    this.name = name;
  }
}

/** In the text itself, or in the environment of the server that reads it. */
export type Secret = string | Variable;

const BARE_KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;
const LINE_CHARS_MAX = 120;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const UNQUOTABLE = /[\u0000-\u001f\u007f]/;

/** Text of a configuration file with these top-level settings. */
export function confText(settings: { readonly [key: string]: ConfValue }): string {
  return `${entries(settings, '')}\n`;
}

function entries(settings: { readonly [key: string]: ConfValue }, indent: string): string {
  return Object.entries(settings)
    .map(([key, value]) => {
      const name = BARE_KEY.test(key) ? key : quoted(key);
      return `${indent}${name}${isBlock(value) ? ' ' : ': '}${text(value, indent)}`;
    })
    .join('\n');
}

function text(value: ConfValue, indent: string): string {
  if (value instanceof Variable) return `$${value.name}`;
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object') return String(value);
  const inner = `${indent}  `;
  if (!isList(value)) return Object.keys(value).length === 0 ? '{}' : `{\n${entries(value, inner)}\n${indent}}`;
  const items = value.map((item) => text(item, inner));
  const line = `[${items.join(', ')}]`;
  if (!line.includes('\n') && indent.length + line.length <= LINE_CHARS_MAX) return line;
  return `[\n${items.map((item) => `${inner}${item}`).join('\n')}\n${indent}]`;
}

function isList(value: ConfValue): value is readonly ConfValue[] {
  return Array.isArray(value);
}

function isBlock(value: ConfValue): boolean {
  return typeof value === 'object' && !(value instanceof Variable) && !isList(value);
}

function quoted(content: string): string {
  assert(!UNQUOTABLE.test(content), 'a configuration value has no control characters');
  return `"${content.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
