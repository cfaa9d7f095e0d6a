import { type GraphModelFiles, readGraphModel } from './graph-model.ts';
import { OnnxGraph } from './onnx-graph.ts';
import { OPERATIONS } from './operations.ts';
import { Translation } from './translation.ts';

/**
 * Any graph of supported operations as ONNX: float32 inputs in the source's layout with the batch left free, outputs
 * under the names of their nodes. The detectors of the catalogue have converters of their own.
 *
 * @param options.inputs names of Placeholder nodes
 * @throws Failure INVALID_ARGUMENT / GRAPH_OPERATION_UNSUPPORTED naming an operation that the converter does not know.
 */
export function convertGraph(
  files: GraphModelFiles,
  options: { readonly inputs: readonly string[]; readonly outputs: readonly string[] },
): Uint8Array {
  const source = readGraphModel(files.json, files.weights);
  const graph = new OnnxGraph();
  for (const input of options.inputs) {
    const sizes = source.nodes.get(input)?.attributes.shape?.shape?.dim?.map((dimension) => dimension.size) ?? [];
    graph.input(input, 'float32', ['batch', ...sizes.slice(1)]);
  }
  const inputs = Object.fromEntries(options.inputs.map((input) => [input, input]));
  const translation = new Translation({ source, graph, operations: OPERATIONS, inputs });
  for (const output of options.outputs) {
    graph.output(translation.value(output).name, 'float32', undefined);
  }
  return graph.finish('graph');
}
