import { assert } from '@meridian/failure';
import { type GraphModelFiles, readGraphModel } from './graph-model.ts';
import { OnnxGraph } from './onnx-graph.ts';
import { OPERATIONS } from './operations.ts';
import { Translation } from './translation.ts';

/** Classes of CenterNet's heat map, and how many peaks are kept of it. */
const COCO_CLASSES = 80;
const PEAKS = 100;
/** One cell of the heat map is 4 × 4 input pixels; five halvings of the backbone want a multiple of 32. */
const CELL_PIXELS = 4;
const SIZE_MULTIPLE = 32;

/**
 * CenterNet as ONNX: input `images` uint8 [batch, size, size, 3], output `detections` [batch, 100, 6] of
 * x0 y0 x1 y1 in input pixels, score, class. The source's own end is replaced, because it fixes the batch to 1.
 *
 * @param options.heads also output the raw heads: `tower_0/keypoints` (heat map) and `tower_0/wh`, for comparison
 */
export function convertCenternet(files: GraphModelFiles, options: { size: number; heads?: boolean }): Uint8Array {
  const { size } = options;
  assert(size % SIZE_MULTIPLE === 0, `input size ${size} is a multiple of ${SIZE_MULTIPLE}`);
  const graph = new OnnxGraph();
  graph.input('images', 'uint8', ['batch', size, size, 3]);
  const images = graph.node('Cast', ['images'], 'images/float', { to: { int: 1 } });
  const source = readGraphModel(files.json, files.weights);
  const inputs = { 'tower_0/images': images };
  const translation = new Translation({ source, graph, operations: OPERATIONS, inputs });
  const heat = translation.value('tower_0/keypoints').name;
  const extents = translation.value('tower_0/wh').name;
  const cells = size / CELL_PIXELS;
  graph.output(writePeaks(graph, heat, extents, cells), 'float32', ['batch', PEAKS, 6]);
  if (options.heads) {
    graph.output(heat, 'float32', ['batch', cells, cells, COCO_CLASSES]);
    graph.output(extents, 'float32', ['batch', cells, cells, 4]);
  }
  return graph.finish('centernet');
}

/** BlazeFace as ONNX: input `images` uint8 [batch, 256, 256, 3]; 512 and 384 anchors, box with six key points, logit. */
export function convertBlazeface(files: GraphModelFiles): Uint8Array {
  const graph = new OnnxGraph();
  graph.input('images', 'uint8', ['batch', 256, 256, 3]);
  const images = graph.node('Cast', ['images'], 'images/float', { to: { int: 1 } });
  // −1 … 1, in the order of the operations that the source's own library uses.
  const divided = graph.node('Div', [images, graph.floats('images/divisor', [127.5], [])], 'images/divided');
  const centred = graph.node('Sub', [divided, graph.floats('images/offset', [1], [])], 'images/centred');
  const source = readGraphModel(files.json, files.weights);
  const translation = new Translation({ source, graph, operations: OPERATIONS, inputs: { input: centred } });
  const concatenated = (output: string, fine: string, coarse: string, columns: number) => {
    const parts = [translation.value(fine).name, translation.value(coarse).name];
    graph.output(graph.node('Concat', parts, output, { axis: { int: 1 } }), 'float32', ['batch', 896, columns]);
  };
  concatenated('scores', 'Identity', 'Identity_1', 1);
  concatenated('boxes', 'Identity_2', 'Identity_3', 16);
  return graph.finish('blazeface');
}

/** Keeps the 100 highest local maxima of the heat map and turns each into a row. */
function writePeaks(graph: OnnxGraph, heat: string, extents: string, cells: number): string {
  const turned = graph.node('Transpose', [heat], 'peaks/nchw', { perm: { ints: [0, 3, 1, 2] } });
  const pooled = graph.node('MaxPool', [turned], 'peaks/pooled', {
    kernel_shape: { ints: [3, 3] },
    strides: { ints: [1, 1] },
    pads: { ints: [1, 1, 1, 1] },
  });
  const isPeak = graph.node('Equal', [turned, pooled], 'peaks/equal');
  const mask = graph.node('Cast', [isPeak], 'peaks/mask', { to: { int: 1 } });
  const masked = graph.node('Mul', [turned, mask], 'peaks/masked');
  const back = graph.node('Transpose', [masked], 'peaks/nhwc', { perm: { ints: [0, 2, 3, 1] } });
  const flat = graph.node('Reshape', [back, graph.integers('peaks/flat/shape', [0, -1])], 'peaks/flat');
  graph.nodeOf('TopK', [flat, graph.integers('peaks/k', [PEAKS])], ['peaks/scores', 'peaks/indices']);
  return writeRows(graph, extents, cells);
}

/** Row = 4x − left, 4y − top, 4x + right, 4y + bottom, score, class of each peak. */
function writeRows(graph: OnnxGraph, extents: string, cells: number): string {
  const classes = graph.integers('rows/classes', [COCO_CLASSES], []);
  const width = graph.integers('rows/width', [cells], []);
  const last = graph.integers('rows/last', [2]);
  const column = (input: string, output: string) => graph.node('Unsqueeze', [input, last], output);
  const label = graph.node('Mod', ['peaks/indices', classes], 'rows/label');
  const position = graph.node('Div', ['peaks/indices', classes], 'rows/position');
  const x = column(graph.node('Mod', [position, width], 'rows/x'), 'rows/x/column');
  const y = column(graph.node('Div', [position, width], 'rows/y'), 'rows/y/column');
  const corners = graph.node('Concat', [x, y, x, y], 'rows/corners', { axis: { int: 2 } });
  const centres = graph.node('Cast', [corners], 'rows/centres', { to: { int: 1 } });
  const pixels = graph.node('Mul', [centres, graph.floats('rows/cell', [CELL_PIXELS], [])], 'rows/pixels');
  const listed = graph.node('Reshape', [extents, graph.integers('rows/listed/shape', [0, -1, 4])], 'rows/listed');
  const reach = graph.node('GatherND', [listed, column(position, 'rows/position/column')], 'rows/reach', {
    batch_dims: { int: 1 },
  });
  const signed = graph.node('Mul', [reach, graph.floats('rows/signs', [-1, -1, 1, 1])], 'rows/signed');
  const boxes = graph.node('Add', [pixels, signed], 'rows/boxes');
  const scores = column('peaks/scores', 'rows/scores/column');
  const labels = graph.node('Cast', [column(label, 'rows/label/column')], 'rows/labels', { to: { int: 1 } });
  return graph.node('Concat', [boxes, scores, labels], 'detections', { axis: { int: 2 } });
}
