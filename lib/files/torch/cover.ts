import { product } from "./tensors.js";

/** A box of a tensor's numbers. */
export interface Box {
  readonly start: readonly number[];
  readonly shape: readonly number[];
}

/** Corners that are looked at: 2 to the power of the axes that are cut, for each box. */
const mostCorners = 2 ** 22;

/**
 * Why boxes do not have each number of a tensor exactly once; undefined if they do.
 *
 * The count of boxes over each number is what its mixed differences say, which are 0 but at corners: those of the boxes, each with
 * its sign, must cancel but for those of the whole. So the numbers themselves are never gone through.
 */
export function whyNotCovered(shape: readonly number[], boxes: readonly Box[]): string | undefined {
  const outside = boxes.find(
    (box) =>
      box.start.length !== shape.length ||
      box.shape.length !== shape.length ||
      box.start.some((start, axis) => start + (box.shape[axis] as number) > (shape[axis] as number)),
  );
  if (outside)
    return `a part [${outside.shape.join(", ")}] at [${outside.start.join(", ")}], which is beyond it`;
  const axes = shape.flatMap((size, axis) => (boxes.every((box) => box.shape[axis] === size) ? [] : [axis]));
  if (boxes.length * 2 ** axes.length > mostCorners)
    return `${boxes.length} parts cut along ${axes.length} axes`;
  const corners = new Map<string, number>();
  const add = ({ start, shape: size }: Box, sign: number) => {
    for (let bits = 0; bits < 2 ** axes.length; bits++) {
      let parity = sign;
      const corner = axes.map((axis, i) => {
        if (((bits >> i) & 1) === 0) return start[axis];
        parity = -parity;
        return (start[axis] as number) + (size[axis] as number);
      });
      const key = corner.join();
      const sum = (corners.get(key) ?? 0) + parity;
      if (sum === 0) corners.delete(key);
      else corners.set(key, sum);
    }
  };
  for (const box of boxes) if (product(box.shape) > 0) add(box, 1);
  if (product(shape) > 0) add({ start: shape.map(() => 0), shape }, -1);
  return corners.size === 0 ? undefined : "parts that leave some out, or have some twice";
}
