import { type GraphNode, textsAttribute } from './graph-model.ts';
import { type Translation, unsupported } from './translation.ts';

/** Applies the activation of a fused node to `input`. A fused BiasAdd is not an activation. */
export function activate(node: GraphNode, translation: Translation, input: string): string {
  const activations = textsAttribute(node, 'fused_ops').filter((operation) => operation !== 'BiasAdd');
  const [activation] = activations;
  const output = `${node.name}/activation`;
  if (activation === undefined) return input;
  if (activations.length === 1 && activation === 'Relu') return translation.graph.node('Relu', [input], output);
  if (activations.length === 1 && activation === 'Relu6') return clip6(translation, input, output);
  throw unsupported(node, `fused operation ${activations.join('+')}`);
}

export function clip6(translation: Translation, input: string, output: string): string {
  const least = translation.graph.floats(`${output}/min`, [0], []);
  const most = translation.graph.floats(`${output}/max`, [6], []);
  return translation.graph.node('Clip', [input, least, most], output);
}
