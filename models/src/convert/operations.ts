import { activate, clip6 } from './activation.ts';
import { convolution, depthwiseConvolution, maximumPool } from './convolutions.ts';
import { flagAttribute, type GraphNode } from './graph-model.ts';
import { type Operation, type Translation, unsupported, type Value } from './translation.ts';

/** What the converter can translate. Anything else is refused by name. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  Const: (node, translation) => translation.constant(node),
  Placeholder: (node) => {
    throw unsupported(node, `the additional input ${node.name}`);
  },
  Conv2D: convolution,
  _FusedConv2D: convolution,
  DepthwiseConv2dNative: depthwiseConvolution,
  FusedDepthwiseConv2dNative: depthwiseConvolution,
  MaxPool: maximumPool,
  Add: binary('Add'),
  AddV2: binary('Add'),
  Mul: binary('Mul'),
  Minimum: binary('Min'),
  Maximum: binary('Max'),
  Relu: unary('Relu'),
  Relu6: (node, translation) => {
    const { name, ...size } = translation.input(node, 0);
    return { name: clip6(translation, name, node.name), ...size };
  },
  Sigmoid: unary('Sigmoid'),
  Identity: unary('Identity'),
  Softmax: (node, translation) => {
    const { name, ...size } = translation.input(node, 0);
    return { name: translation.graph.node('Softmax', [name], node.name, { axis: { int: -1 } }), ...size };
  },
  Mean: mean,
  ResizeBilinear: resizeBilinear,
  ConcatV2: concatenate,
  Pad: pad,
  Reshape: reshape,
  MatMul: matrixProduct,
  _FusedMatMul: matrixProduct,
};

function unary(operation: string): Operation {
  return (node, translation) => {
    const { name, ...size } = translation.input(node, 0);
    return { name: translation.graph.node(operation, [name], node.name), ...size };
  };
}

/** Both broadcast from the last axis on, as ONNX does: the layout is the source's, so constants stay as they are. */
function binary(operation: string): Operation {
  return (node, translation) => {
    const left = translation.input(node, 0);
    const right = translation.input(node, 1);
    return {
      name: translation.graph.node(operation, [left.name, right.name], node.name),
      height: Math.max(left.height, right.height),
      width: Math.max(left.width, right.width),
      channels: Math.max(left.channels, right.channels),
    };
  };
}

function mean(node: GraphNode, translation: Translation): Value {
  const { name, channels } = translation.input(node, 0);
  const axes = translation.graph.integers(`${node.name}/axes`, translation.integers(node, 1));
  const keep = flagAttribute(node, 'keep_dims') ? 1 : 0;
  translation.graph.node('ReduceMean', [name, axes], node.name, { keepdims: { int: keep } });
  return { name: node.name, height: 1, width: 1, channels };
}

/** Resize by scale, not by size, so that the graph also works for another input size. */
function resizeBilinear(node: GraphNode, translation: Translation): Value {
  const { name, height, width, channels } = translation.input(node, 0);
  const [targetHeight = 1, targetWidth = 1] = translation.integers(node, 1);
  if (height < 1 || width < 1) throw unsupported(node, 'a resize of a tensor of unknown size');
  const unaligned = flagAttribute(node, 'half_pixel_centers') ? 'half_pixel' : 'asymmetric';
  const coordinates = flagAttribute(node, 'align_corners') ? 'align_corners' : unaligned;
  const scales = translation.graph.floats(`${node.name}/scales`, [1, 1, targetHeight / height, targetWidth / width]);
  translation.inChannelsFirst(node, name, (input) =>
    translation.graph.node('Resize', [input, '', scales], `${node.name}/resized`, {
      mode: { text: 'linear' },
      coordinate_transformation_mode: { text: coordinates },
    }),
  );
  return { name: node.name, height: targetHeight, width: targetWidth, channels };
}

function concatenate(node: GraphNode, translation: Translation): Value {
  const last = node.inputs.length - 1;
  const [axis = 0] = translation.integers(node, last);
  if (axis !== 3 && axis !== -1) throw unsupported(node, `concatenation along axis ${axis}`);
  const parts = node.inputs.slice(0, last).map((_, index) => translation.input(node, index));
  const names = parts.map((part) => part.name);
  translation.graph.node('Concat', names, node.name, { axis: { int: axis } });
  const channels = parts.reduce((sum, part) => sum + part.channels, 0);
  return { name: node.name, height: parts[0]?.height ?? 1, width: parts[0]?.width ?? 1, channels };
}

/** TF: one [before, after] pair for each axis. ONNX: all befores, then all afters. */
function pad(node: GraphNode, translation: Translation): Value {
  const { name, height, width, channels } = translation.input(node, 0);
  const pairs = translation.integers(node, 1);
  const before = pairs.filter((_, index) => index % 2 === 0);
  const after = pairs.filter((_, index) => index % 2 === 1);
  const pads = translation.graph.integers(`${node.name}/pads`, [...before, ...after]);
  translation.graph.node('Pad', [name, pads], node.name);
  return {
    name: node.name,
    height: height + (before[1] ?? 0) + (after[1] ?? 0),
    width: width + (before[2] ?? 0) + (after[2] ?? 0),
    channels: channels + (before[3] ?? 0) + (after[3] ?? 0),
  };
}

/** A leading 1 is the batch of the export; 0 copies the input's, which keeps the batch free. */
function reshape(node: GraphNode, translation: Translation): Value {
  const { name } = translation.input(node, 0);
  const [batch, ...rest] = translation.integers(node, 1);
  const shape = translation.graph.integers(`${node.name}/shape`, batch === 1 ? [0, ...rest] : [batch ?? 0, ...rest]);
  translation.graph.node('Reshape', [name, shape], node.name);
  return { name: node.name, height: 1, width: 1, channels: rest.at(-1) ?? 1 };
}

function matrixProduct(node: GraphNode, translation: Translation): Value {
  const inputs = node.inputs.map((_, index) => translation.input(node, index).name);
  const product = translation.graph.node('Gemm', inputs, `${node.name}/product`, {
    transA: { int: flagAttribute(node, 'transpose_a') ? 1 : 0 },
    transB: { int: flagAttribute(node, 'transpose_b') ? 1 : 0 },
  });
  translation.graph.node('Identity', [activate(node, translation, product)], node.name);
  return { name: node.name, height: 1, width: 1, channels: translation.weight(node, 1).shape[1] ?? 1 };
}
