/** What a model found in one picture. Coordinates are fractions of the upright (EXIF-rotated) picture. */
export interface Recognition {
  /** Pixels, after EXIF rotation. */
  readonly width: number;
  readonly height: number;
  /** By falling score; for text in reading order. */
  readonly objects: readonly RecognizedObject[];
}

export interface RecognizedObject {
  readonly label: string;
  readonly classIndex: number;
  /** 0 … 1. */
  readonly score: number;
  /** Within 0 … 1. Absent for classifiers. */
  readonly box?: Box;
  /** What is written inside the box; text models only. */
  readonly text?: string;
  /** Faces: eyes, nose, mouth, ears. Text: the four corners of the line. May lie outside the picture. */
  readonly keypoints?: readonly Point[];
}

export interface Box {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}
