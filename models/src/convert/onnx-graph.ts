import { assert } from '@meridian/failure';
import { WireMessage } from './wire.ts';

/** ONNX IR version 9, operator set 18: what ONNX Runtime 1.16 and later read. */
const IR_VERSION = 9;
const OPERATOR_SET = 18;

/** TensorProto.DataType of the types that the converter writes. */
export const ELEMENT = { float32: 1, uint8: 2, int64: 7, float16: 10 } as const;
export type Element = keyof typeof ELEMENT;

/** Attribute values: an integer is `{ int }`, because 1 and 1.0 are different types in ONNX. */
export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] };
export type Attributes = Readonly<Record<string, Attribute>>;

/** A dimension is a size or the name of a free one. */
export type Shape = readonly (number | string)[];

/** Collects nodes, constants, inputs and outputs, then writes the model. Equal calls give equal bytes. */
export class OnnxGraph {
  private readonly nodes: WireMessage[] = [];
  private readonly constants: WireMessage[] = [];
  private readonly inputs: WireMessage[] = [];
  private readonly outputs: WireMessage[] = [];
  private readonly names = new Set<string>();

  /** Adds a node with one output of the same name as the node, and returns that name. */
  node(operation: string, inputs: readonly string[], output: string, attributes: Attributes = {}): string {
    this.nodeOf(operation, inputs, [output], attributes);
    return output;
  }

  /** Adds a node with several outputs. */
  nodeOf(operation: string, inputs: readonly string[], outputs: readonly string[], attributes: Attributes = {}): void {
    const message = new WireMessage();
    for (const input of inputs) message.text(1, input);
    for (const output of outputs) message.text(2, this.claim(output));
    message.text(3, outputs[0] ?? '').text(4, operation);
    for (const [name, value] of Object.entries(attributes)) message.message(5, attributeMessage(name, value));
    this.nodes.push(message);
  }

  /** Adds a constant tensor; `data` holds the elements in little-endian order. */
  constant(name: string, element: Element, shape: readonly number[], data: ArrayBufferView): string {
    const message = new WireMessage();
    for (const size of shape) message.integer(1, size);
    message.integer(2, ELEMENT[element]).text(8, this.claim(name));
    message.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.constants.push(message);
    return name;
  }

  integers(name: string, values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.constant(name, 'int64', shape, BigInt64Array.from(values, BigInt));
  }

  floats(name: string, values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.constant(name, 'float32', shape, Float32Array.from(values));
  }

  input(name: string, element: Element, shape: Shape): string {
    this.inputs.push(valueInfo(this.claim(name), element, shape));
    return name;
  }

  /** Declares an existing value as an output of the graph; without a shape the runtime works it out. */
  output(name: string, element: Element, shape: Shape | undefined): void {
    assert(this.names.has(name), `output ${name} is a value of the graph`);
    this.outputs.push(valueInfo(name, element, shape));
  }

  finish(name: string): Uint8Array {
    const graph = new WireMessage();
    for (const node of this.nodes) graph.message(1, node);
    graph.text(2, name);
    for (const constant of this.constants) graph.message(5, constant);
    for (const input of this.inputs) graph.message(11, input);
    for (const output of this.outputs) graph.message(12, output);
    const operatorSet = new WireMessage().text(1, '').integer(2, OPERATOR_SET);
    const model = new WireMessage().integer(1, IR_VERSION).text(2, 'meridian');
    return model.message(7, graph).message(8, operatorSet).finish();
  }

  private claim(name: string): string {
    assert(!this.names.has(name), `value ${name} is defined once`);
    this.names.add(name);
    return name;
  }
}

/** AttributeProto.type: FLOAT 1, INT 2, STRING 3, INTS 7. */
function attributeMessage(name: string, value: Attribute): WireMessage {
  const message = new WireMessage().text(1, name);
  if ('int' in value) return message.integer(3, value.int).integer(20, 2);
  if ('float' in value) return message.float(2, value.float).integer(20, 1);
  if ('text' in value) return message.text(4, value.text).integer(20, 3);
  for (const item of value.ints) message.integer(8, item);
  return message.integer(20, 7);
}

function valueInfo(name: string, element: Element, shape: Shape | undefined): WireMessage {
  const tensor = new WireMessage().integer(1, ELEMENT[element]);
  if (shape !== undefined) tensor.message(2, shapeMessage(shape));
  return new WireMessage().text(1, name).message(2, new WireMessage().message(1, tensor));
}

function shapeMessage(shape: Shape): WireMessage {
  const dimensions = new WireMessage();
  for (const size of shape) {
    const dimension = new WireMessage();
    dimensions.message(1, typeof size === 'number' ? dimension.integer(1, size) : dimension.text(2, size));
  }
  return dimensions;
}
