export type { CallOptions, DecodedPicture, Inferred, LoadedModel, Recognized } from './loaded-model.ts';
export { ModelSession, type ReadWeights } from './model-session.ts';
export { type OpenModelOptions, openModel } from './open-model.ts';
export {
  type DecodedPixels,
  type FittedPixels,
  PICTURE_BYTES_MAX,
  PIXELS_MAX,
  PictureDecoder,
  type Pixels,
  SIDE_MAX,
} from './picture-decoder.ts';
export type { Box, Point, Recognition, RecognizedObject } from './recognition.ts';
