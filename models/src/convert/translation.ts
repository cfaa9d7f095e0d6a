import { assert, Failure } from '@meridian/failure';
import { type GraphModel, type GraphNode, integersAttribute, type Weight } from './graph-model.ts';
import type { OnnxGraph } from './onnx-graph.ts';

/**
 * A translated tensor. Layout is the source's (NHWC) throughout; operations that ONNX knows in NCHW only are put
 * between two transposes, which ONNX Runtime cancels against each other when it loads the graph.
 */
export interface Value {
  /** Name in the ONNX graph. */
  readonly name: string;
  /** Size in the source graph, 1 where there is none: turns resize targets into scales, tells grouped convolutions. */
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** Writes the ONNX nodes of one source node; the result has the source node's name. */
export type Operation = (node: GraphNode, translation: Translation) => Value;

export interface TranslationOptions {
  readonly source: GraphModel;
  readonly graph: OnnxGraph;
  /** By name of the source's operation. Anything else is refused by name. */
  readonly operations: Readonly<Record<string, Operation>>;
  /** The ONNX value that stands for each Placeholder, in the source's value range and layout. */
  readonly inputs: Readonly<Record<string, string>>;
}

/** Turns the nodes that the wanted values need into ONNX nodes, depth first (the JSON's order is no order). */
export class Translation {
  readonly graph: OnnxGraph;
  private readonly source: GraphModel;
  private readonly operations: Readonly<Record<string, Operation>>;
  private readonly values = new Map<string, Value>();
  private readonly kernels = new Map<string, string>();

  constructor({ source, graph, operations, inputs }: TranslationOptions) {
    this.source = source;
    this.graph = graph;
    this.operations = operations;
    for (const [placeholder, name] of Object.entries(inputs)) {
      const sizes = this.node(placeholder).attributes.shape?.shape?.dim?.map((dimension) => dimension.size) ?? [];
      this.values.set(placeholder, { name, height: sizes[1] ?? 1, width: sizes[2] ?? 1, channels: sizes[3] ?? 1 });
    }
  }

  /** The value of a source node, translated on first use. @throws Failure naming an operation that is not supported. */
  value(name: string): Value {
    const known = this.values.get(name);
    if (known !== undefined) return known;
    const node = this.node(name);
    const operation = this.operations[node.operation];
    if (operation === undefined) throw unsupported(node, `operation ${node.operation}`);
    const value = operation(node, this);
    this.values.set(name, value);
    return value;
  }

  /** The `index`th input of a node as a value. */
  input(node: GraphNode, index: number): Value {
    return this.value(this.inputName(node, index));
  }

  /** The `index`th input of a node as a constant. @throws Failure when it is computed. */
  weight(node: GraphNode, index: number): Weight {
    const name = this.inputName(node, index);
    const weight = this.source.weights.get(name);
    if (weight === undefined) throw unsupported(node, `input ${name}, which is not a constant,`);
    return weight;
  }

  integers(node: GraphNode, index: number): number[] {
    return Array.from(this.weight(node, index).values);
  }

  inputName(node: GraphNode, index: number): string {
    const name = node.inputs[index];
    assert(name !== undefined, `${node.name} has input ${index}`);
    return name;
  }

  constant(node: GraphNode): Value {
    const weight = this.source.weights.get(node.name);
    assert(weight !== undefined, `constant ${node.name} is in the weights manifest`);
    const { shape, values } = weight;
    const name =
      values instanceof Float32Array
        ? this.graph.constant(node.name, 'float32', shape, values)
        : this.graph.integers(node.name, Array.from(values), shape);
    return { name, height: shape.at(-3) ?? 1, width: shape.at(-2) ?? 1, channels: shape.at(-1) ?? 1 };
  }

  /** Runs `build` on the NCHW form of `input` and gives its result back in NHWC under the node's name. */
  inChannelsFirst(node: GraphNode, input: string, build: (channelsFirst: string) => string): string {
    const turned = this.graph.node('Transpose', [input], `${node.name}/nchw`, { perm: { ints: [0, 3, 1, 2] } });
    return this.graph.node('Transpose', [build(turned)], node.name, { perm: { ints: [0, 2, 3, 1] } });
  }

  /**
   * A convolution kernel, rearranged by `order` (source offset of each target element). Where the source stores
   * halves, so does the model: half the bytes, and the same values after the Cast that ONNX Runtime folds at load.
   */
  kernel(node: GraphNode, shape: readonly number[], order: Uint32Array): string {
    const source = this.inputName(node, 1);
    const known = this.kernels.get(source);
    if (known !== undefined) return known;
    const { values, halves } = this.weight(node, 1);
    let name = `${source}/oihw`;
    if (halves === undefined) {
      const rearranged = Float32Array.from(order, (offset) => values[offset] ?? Number.NaN);
      this.graph.constant(name, 'float32', shape, rearranged);
    } else {
      const rearranged = Uint16Array.from(order, (offset) => halves[offset] ?? 0);
      const stored = this.graph.constant(`${name}/half`, 'float16', shape, rearranged);
      name = this.graph.node('Cast', [stored], name, { to: { int: 1 } });
    }
    this.kernels.set(source, name);
    return name;
  }

  private node(name: string): GraphNode {
    const node = this.source.nodes.get(name);
    if (node === undefined) {
      throw new Failure(
        'INVALID_ARGUMENT',
        `the graph has no value ${name} (only first outputs of nodes are supported)`,
        {
          reason: 'GRAPH_VALUE_UNKNOWN',
        },
      );
    }
    return node;
  }
}

/** The two inner entries of a TF list over N, H, W, C. */
export function spatial(node: GraphNode, attribute: string): [number, number] {
  const [batch = 1, height = 1, width = 1, channels = 1] = integersAttribute(node, attribute);
  if (batch !== 1 || channels !== 1) throw unsupported(node, `${attribute} over batch or channels`);
  return [height, width];
}

export function unsupported(node: GraphNode, what: string): Failure {
  return new Failure('INVALID_ARGUMENT', `the converter does not support ${what} (node ${node.name})`, {
    reason: 'GRAPH_OPERATION_UNSUPPORTED',
    details: { operation: node.operation, node: node.name },
  });
}
