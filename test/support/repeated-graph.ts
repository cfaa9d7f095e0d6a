import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { assert } from '@meridian/failure';

/** Fields of ModelProto, GraphProto and NodeProto that are looked at; all others stay as they are. */
const MODEL = { graph: 7 };
const GRAPH = { node: 1, constant: 5, input: 11, output: 12 };
const NODE = { input: 1, output: 2, name: 3 };
const CONSTANT_NAME = 8;
const VALUE_NAME = 1;
/** So small that what is added changes no input of the network, and no constant 0, which the runtime would take away. */
const NOTHING = 1e-30;
const FLOAT32 = 1;

interface Field {
  readonly no: number;
  readonly wireType: WireType;
  readonly data: Uint8Array;
}

/**
 * An ONNX model that does the work of another one several times, one after the other, and gives the same answer: its
 * nodes are there `copies` times over the same weights. Each copy's first float values have the sum of the answer of
 * the copy before added, as good as nothing; otherwise the runtime would find the copies equal and run one of them.
 *
 * @param model has one input, cast to float by its first node, and one output: the converted detectors of the catalogue
 */
export function repeatedGraph(model: Uint8Array, copies: number): Uint8Array {
  return encode(
    decode(model).map((field) => (field.no === MODEL.graph ? { ...field, data: repeated(field.data, copies) } : field)),
  );
}

function repeated(data: Uint8Array, copies: number): Uint8Array {
  const graph = decode(data);
  const nodes = graph.filter(({ no }) => no === GRAPH.node).map((field) => decode(field.data));
  const shared = new Set([
    ...namesOf(graph, GRAPH.constant, CONSTANT_NAME),
    ...namesOf(graph, GRAPH.input, VALUE_NAME),
  ]);
  const [answer] = namesOf(graph, GRAPH.output, VALUE_NAME);
  const [cast, ...work] = nodes;
  const input = cast && textOf(cast, NODE.output);
  assert(answer !== undefined && input !== undefined, 'the graph has an answer and a first value');
  const all = [cast as readonly Field[]];
  for (let copy = 1; copy <= copies; copy += 1) {
    // An optional input that is left out has no name.
    const rename = (name: string) => (name === '' || shared.has(name) ? name : named(name, copy, copies, input));
    if (copy > 1) all.push(...nextInput(named(answer, copy - 1, copies, input), input, copy));
    all.push(...work.map((node) => renamed(node, rename)));
  }
  const others = graph.filter(({ no }) => no !== GRAPH.node);
  return encode([...all.map((node) => part(GRAPH.node, encode(node))), ...others, nothing()]);
}

/** The last copy has the names of the original, so that its answer is the model's. */
function named(name: string, copy: number, copies: number, input: string): string {
  if (name === input) return copy === 1 ? input : `${input}#${copy}`;
  return copy === copies ? name : `${name}#${copy}`;
}

/** input#copy = input + sum(answer of the copy before) × nothing */
function nextInput(answer: string, input: string, copy: number): (readonly Field[])[] {
  const [sum, small] = [`repeat/sum#${copy}`, `repeat/small#${copy}`];
  const keepNone = new BinaryWriter().tag(1, WireType.LengthDelimited).string('keepdims');
  const attribute = keepNone.tag(3, WireType.Varint).int64(0).tag(20, WireType.Varint).int32(2).finish();
  return [
    [...node('ReduceSum', [answer], sum), part(5, attribute)],
    node('Mul', [sum, 'repeat/nothing'], small),
    node('Add', [input, small], `${input}#${copy}`),
  ];
}

function nothing(): Field {
  const tensor = new BinaryWriter().tag(2, WireType.Varint).int32(FLOAT32);
  tensor.tag(8, WireType.LengthDelimited).string('repeat/nothing');
  tensor.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(Float32Array.of(NOTHING).buffer));
  return part(GRAPH.constant, tensor.finish());
}

function node(operation: string, inputs: readonly string[], output: string): Field[] {
  return [...inputs.map((name) => text(NODE.input, name)), text(NODE.output, output), text(NODE.name, output)].concat(
    text(4, operation),
  );
}

function renamed(fields: readonly Field[], rename: (name: string) => string): Field[] {
  return fields.map((field) =>
    field.no === NODE.input || field.no === NODE.output || field.no === NODE.name
      ? text(field.no, rename(Buffer.from(field.data).toString()))
      : field,
  );
}

function namesOf(graph: readonly Field[], no: number, name: number): string[] {
  return graph.filter((field) => field.no === no).map(({ data }) => textOf(decode(data), name));
}

function textOf(fields: readonly Field[], no: number): string {
  return Buffer.from(fields.find((field) => field.no === no)?.data ?? []).toString();
}

function text(no: number, value: string): Field {
  return part(no, Buffer.from(value));
}

function part(no: number, data: Uint8Array): Field {
  return { no, wireType: WireType.LengthDelimited, data };
}

/** Top level of a message; `data` is without the length where the wire has one. */
function decode(message: Uint8Array): Field[] {
  const reader = new BinaryReader(message);
  const fields: Field[] = [];
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag();
    const data = wireType === WireType.LengthDelimited ? reader.bytes() : reader.skip(wireType, no);
    fields.push({ no, wireType, data });
  }
  return fields;
}

function encode(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { no, wireType, data } of fields) {
    writer.tag(no, wireType);
    if (wireType === WireType.LengthDelimited) writer.bytes(data);
    else writer.raw(data);
  }
  return writer.finish();
}
