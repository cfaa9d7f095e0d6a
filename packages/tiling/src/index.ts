export { type Area, type Size, wholeOf } from './area.ts';
export { MERGED_OBJECTS_MAX, mergePieces, PIECE_OBJECTS_MAX } from './merge.ts';
export { OVERLAP_SHARE_MAX, TILES_MAX, type TilingWish, tilesOf } from './tiles.ts';
export type { Piece, TileObject } from './view.ts';
