import { setImmediate as turn } from "node:timers/promises";
import { throwIfAborted } from "../../errors.js";
import { badTorchFile, Instance } from "./values.js";

const greatestDepth = 256;
/** Values that a walk may meet which does not see that some are the same: so many, and so many for each that there is. */
const leastValues = 2 ** 20;
const repeats = 8;
/** Steps between two turns of the event loop. */
const stepsAtATime = 2 ** 16;

interface Frame {
  value: object;
  children: readonly unknown[];
  next: number;
  depth: number;
  values: number;
}

function childrenOf(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value;
  if (value instanceof Map) return [...value.keys(), ...value.values()];
  return value instanceof Instance ? [value.fields] : undefined;
}

/**
 * Checks that a value can be walked by plain recursion in about the time that its pickle takes: that it is not deep, has no
 * circles, and does not hold the same values again and again (x = [x, x], sixty times, is a walk without end).
 *
 * @throws CriticalSharpnessError `ERR_TORCH_FILE`; AbortError
 */
export async function checkBounds(
  path: string,
  root: unknown,
  signal: AbortSignal | undefined,
): Promise<void> {
  const done = new Map<unknown, { depth: number; values: number }>();
  const open = new Set<unknown>();
  const frames: Frame[] = [];
  let steps = 0;
  const enter = (value: unknown, children: readonly unknown[]) => {
    open.add(value);
    frames.push({ value: value as object, children, next: 0, depth: 1, values: 1 });
  };
  const first = childrenOf(root);
  if (first) enter(root, first);
  for (let frame = frames.at(-1); frame; frame = frames.at(-1)) {
    if (++steps % stepsAtATime === 0) {
      await turn();
      throwIfAborted(signal);
    }
    if (frame.next < frame.children.length) {
      const child = frame.children[frame.next];
      const known = done.get(child);
      const children = known ? undefined : childrenOf(child);
      if (children) {
        if (open.has(child)) throw badTorchFile(path, "values without circles", "one that holds itself");
        enter(child, children);
      } else {
        frame.next++;
        frame.depth = Math.max(frame.depth, 1 + (known?.depth ?? 0));
        frame.values += known?.values ?? 1;
      }
      if (frames.length + (known?.depth ?? 0) > greatestDepth)
        throw badTorchFile(path, `values at most ${greatestDepth} within one another`, "deeper ones");
      continue;
    }
    if (frame.values > leastValues + repeats * steps)
      throw badTorchFile(
        path,
        "values that stand in it a few times at most",
        "some that are repeated without end",
      );
    open.delete(frame.value);
    done.set(frame.value, { depth: frame.depth, values: frame.values });
    frames.pop();
  }
}
