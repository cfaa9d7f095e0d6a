import { assert } from '@meridian/failure';
import { activate } from './activation.ts';
import { type GraphNode, integersAttribute, textAttribute } from './graph-model.ts';
import type { Attribute } from './onnx-graph.ts';
import { spatial, type Translation, unsupported, type Value } from './translation.ts';

/** Conv2D, fused or not: HWIO → OIHW; several groups where the kernel has fewer input channels than the tensor. */
export function convolution(node: GraphNode, translation: Translation): Value {
  const [height, width, inputs, outputs] = kernelShape(node, translation);
  const order = new Uint32Array(height * width * inputs * outputs);
  let target = 0;
  for (let o = 0; o < outputs; o += 1) {
    for (let i = 0; i < inputs; i += 1) {
      for (let cell = 0; cell < height * width; cell += 1) {
        order[target] = (cell * inputs + i) * outputs + o;
        target += 1;
      }
    }
  }
  const kernel = translation.kernel(node, [outputs, inputs, height, width], order);
  const groups = translation.input(node, 0).channels / inputs;
  return convolve(node, translation, { name: kernel, groups, outputs });
}

/** Depthwise [h, w, C, M] → [C·M, 1, h, w], one group for each channel; output channel is c·M + m. */
export function depthwiseConvolution(node: GraphNode, translation: Translation): Value {
  const [height, width, channels, multiplier] = kernelShape(node, translation);
  const outputs = channels * multiplier;
  const order = new Uint32Array(height * width * outputs);
  let target = 0;
  for (let o = 0; o < outputs; o += 1) {
    for (let cell = 0; cell < height * width; cell += 1) {
      order[target] = cell * outputs + o;
      target += 1;
    }
  }
  const kernel = translation.kernel(node, [outputs, 1, height, width], order);
  return convolve(node, translation, { name: kernel, groups: channels, outputs });
}

export function maximumPool(node: GraphNode, translation: Translation): Value {
  const input = translation.input(node, 0);
  const window = windowOf(node, spatial(node, 'ksize'));
  translation.inChannelsFirst(node, input.name, (turned) =>
    translation.graph.node('MaxPool', [turned], `${node.name}/pooled`, window.attributes),
  );
  return { name: node.name, ...window.outputOf(input), channels: input.channels };
}

interface Kernel {
  readonly name: string;
  readonly groups: number;
  readonly outputs: number;
}

function convolve(node: GraphNode, translation: Translation, kernel: Kernel): Value {
  const input = translation.input(node, 0);
  const [height, width] = kernelShape(node, translation);
  const window = windowOf(node, [height, width]);
  const inputs = node.inputs.length > 2 ? [kernel.name, translation.input(node, 2).name] : [kernel.name];
  translation.inChannelsFirst(node, input.name, (turned) => {
    const attributes = { ...window.attributes, group: { int: kernel.groups } };
    const convolved = translation.graph.node('Conv', [turned, ...inputs], `${node.name}/convolved`, attributes);
    return activate(node, translation, convolved);
  });
  return { name: node.name, ...window.outputOf(input), channels: kernel.outputs };
}

function kernelShape(node: GraphNode, translation: Translation): [number, number, number, number] {
  const [height, width, inputs, outputs] = translation.weight(node, 1).shape;
  assert(height && width && inputs && outputs, `kernel of ${node.name} has four dimensions`);
  return [height, width, inputs, outputs];
}

interface Window {
  readonly attributes: Readonly<Record<string, Attribute>>;
  outputOf(input: { height: number; width: number }): { height: number; width: number };
}

/** Strides, dilations and padding of a sliding window, for ONNX and for the size of its output. */
function windowOf(node: GraphNode, kernel: readonly [number, number]): Window {
  if ((textAttribute(node, 'data_format') ?? 'NHWC') !== 'NHWC') throw unsupported(node, 'a data format but NHWC');
  const strides = spatial(node, 'strides');
  const dilations = integersAttribute(node, 'dilations');
  if (dilations.some((dilation) => dilation !== 1)) throw unsupported(node, 'a dilated window');
  const padding = textAttribute(node, 'padding');
  if (padding !== 'SAME' && padding !== 'VALID') throw unsupported(node, `padding ${padding}`);
  const lost = padding === 'SAME' ? [0, 0] : [kernel[0] - 1, kernel[1] - 1];
  return {
    attributes: {
      kernel_shape: { ints: kernel },
      strides: { ints: strides },
      auto_pad: { text: padding === 'SAME' ? 'SAME_UPPER' : 'VALID' },
    },
    outputOf: ({ height, width }) => ({
      height: Math.ceil((height - (lost[0] ?? 0)) / strides[0]),
      width: Math.ceil((width - (lost[1] ?? 0)) / strides[1]),
    }),
  };
}
