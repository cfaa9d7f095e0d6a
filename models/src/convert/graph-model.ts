import { Failure } from '@meridian/failure';
import { z } from 'zod';

/**
 * A TF.js graph model in memory. `model.json` is checked for the fields that are read; the weights are the
 * concatenated shards in the order of the manifest.
 */
const list = z.object({ i: z.array(z.coerce.number()).optional(), s: z.array(z.string()).optional() });
const attribute = z.object({
  s: z.string().optional(),
  i: z.coerce.number().optional(),
  b: z.boolean().optional(),
  list: list.optional(),
  shape: z.object({ dim: z.array(z.object({ size: z.coerce.number() })).optional() }).optional(),
});
const graphNode = z.object({
  name: z.string(),
  op: z.string(),
  input: z.array(z.string()).default([]),
  attr: z.record(z.string(), attribute).default({}),
});
const quantization = z.object({
  dtype: z.enum(['float16', 'uint8', 'uint16']),
  scale: z.number().default(1),
  min: z.number().default(0),
});
const weightEntry = z.object({
  name: z.string(),
  shape: z.array(z.int().min(0)),
  dtype: z.enum(['float32', 'int32']),
  quantization: quantization.optional(),
});
const graphModel = z.object({
  format: z.literal('graph-model'),
  modelTopology: z.object({ node: z.array(graphNode).max(20_000) }),
  weightsManifest: z.array(z.object({ paths: z.array(z.string()), weights: z.array(weightEntry) })),
});

type Attributes = z.output<typeof graphNode>['attr'];

/** The source files of a TF.js graph model: model.json, and the shards one after the other. */
export interface GraphModelFiles {
  readonly json: string;
  readonly weights: Uint8Array;
}

/** A constant tensor, row-major. `halves` are the same values as stored, where the source stores float16. */
export interface Weight {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array;
  readonly halves: Uint16Array | undefined;
}

/** A node of the graph; `inputs` are names of nodes, without output number and control dependencies. */
export interface GraphNode {
  readonly name: string;
  readonly operation: string;
  readonly inputs: readonly string[];
  readonly attributes: Attributes;
}

export interface GraphModel {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  readonly weights: ReadonlyMap<string, Weight>;
}

/** @throws Failure INVALID_ARGUMENT / GRAPH_MODEL_INVALID when the JSON or the length of the weights is not as declared. */
export function readGraphModel(json: string, shards: Uint8Array): GraphModel {
  const parsed = graphModel.safeParse(JSON.parse(json));
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw invalid(`not a TF.js graph model: ${issues.slice(0, 5).join('; ')}`);
  }
  const nodes = new Map<string, GraphNode>();
  for (const { name, op, input, attr } of parsed.data.modelTopology.node) {
    nodes.set(name, { name, operation: op, inputs: input.filter(isData).map(nodeName), attributes: attr });
  }
  const entries = parsed.data.weightsManifest.flatMap((group) => group.weights);
  return { nodes, weights: readWeights(entries, shards) };
}

/** The strings of an attribute are base64. */
export function textAttribute(node: GraphNode, name: string): string | undefined {
  const value = node.attributes[name]?.s;
  return value === undefined ? undefined : fromBase64(value);
}

export function textsAttribute(node: GraphNode, name: string): string[] {
  return (node.attributes[name]?.list?.s ?? []).map(fromBase64);
}

export function integersAttribute(node: GraphNode, name: string): readonly number[] {
  return node.attributes[name]?.list?.i ?? [];
}

export function flagAttribute(node: GraphNode, name: string): boolean {
  return node.attributes[name]?.b ?? false;
}

function readWeights(entries: readonly z.output<typeof weightEntry>[], shards: Uint8Array): Map<string, Weight> {
  const weights = new Map<string, Weight>();
  let offset = 0;
  for (const entry of entries) {
    const elements = entry.shape.reduce((product, size) => product * size, 1);
    const bytes = elements * bytesPerElement(entry);
    if (offset + bytes > shards.byteLength) throw invalid(`the weights end within ${entry.name}`);
    // A copy, because typed arrays want an aligned start and shards do not give one (and a Buffer's slice is no copy).
    weights.set(entry.name, decodeWeight(entry, new Uint8Array(shards.subarray(offset, offset + bytes)).buffer));
    offset += bytes;
  }
  if (offset !== shards.byteLength) {
    throw invalid(`the manifest describes ${offset} bytes of weights, the files have ${shards.byteLength}`);
  }
  return weights;
}

function bytesPerElement(entry: z.output<typeof weightEntry>): number {
  if (entry.quantization === undefined) return 4;
  return entry.quantization.dtype === 'uint8' ? 1 : 2;
}

function decodeWeight(entry: z.output<typeof weightEntry>, buffer: ArrayBuffer): Weight {
  const { shape, dtype, quantization: quantized } = entry;
  if (quantized === undefined) {
    return { shape, values: dtype === 'int32' ? new Int32Array(buffer) : new Float32Array(buffer), halves: undefined };
  }
  if (quantized.dtype === 'float16') {
    return { shape, values: Float32Array.from(new Float16Array(buffer)), halves: new Uint16Array(buffer) };
  }
  const levels = quantized.dtype === 'uint8' ? new Uint8Array(buffer) : new Uint16Array(buffer);
  const values = Float32Array.from(levels, (level) => level * quantized.scale + quantized.min);
  return { shape, values: dtype === 'int32' ? Int32Array.from(values, Math.round) : values, halves: undefined };
}

function isData(input: string): boolean {
  return !input.startsWith('^');
}

/** `x:0` is the first output of x. Other outputs stay as they are written and are refused when looked up. */
function nodeName(input: string): string {
  return input.endsWith(':0') ? input.slice(0, -2) : input;
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8');
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'GRAPH_MODEL_INVALID' });
}
