/** A sequence's place in a stream: `tokens` inputs from `start`; each label is the token after its input. */
export interface Window {
  start: number;
  tokens: number;
}

/** Sequences that lie side by side. */
export interface Windows {
  readonly count: number;
  at(index: number): Window;
}

/** Sequences of equal length over the tokens `from` … `to` − 1, whatever documents they go through. */
export function evenWindows(from: number, to: number, sequence: number): Windows {
  return {
    // A window's last label is one token further.
    count: Math.max(0, Math.floor((to - from - 1) / sequence)),
    at: (index) => ({ start: from + index * sequence, tokens: sequence }),
  };
}

/**
 * Sequences that each keep to one document. A document's last sequence may be shorter; one of a single token has none.
 *
 * @param ends where documents end; the first one begins at 0
 * @param begin which documents: the first of them, and the one after the last
 */
export function documentWindows(
  ends: ArrayLike<number>,
  [begin, end]: readonly [number, number],
  sequence: number,
): Windows {
  const starts: number[] = [];
  const sizes: number[] = [];
  for (let document = begin; document < end; document++) {
    const last = (ends[document] as number) - 1;
    for (let start = document > 0 ? (ends[document - 1] as number) : 0; start < last; start += sequence) {
      starts.push(start);
      sizes.push(Math.min(sequence, last - start));
    }
  }
  return {
    count: starts.length,
    at: (index) => ({ start: starts[index] as number, tokens: sizes[index] as number }),
  };
}
