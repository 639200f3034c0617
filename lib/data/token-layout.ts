/** How numbers lie in a token file. */
export interface TokenLayout {
  dtype: TokenDtype;
  isBigEndian?: boolean;
  /** Numbers, over all axes. */
  count: number;
  byteOffset: number;
}

/** Bytes of a number. */
export const widths = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  uint64: 8,
  int64: 8,
} as const;

export type TokenDtype = keyof typeof widths;
