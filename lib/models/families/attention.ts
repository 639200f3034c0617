import { expected } from "../../errors.js";
import type { NativeDecoderDescription } from "../../native/model-description.js";
import type { Rotation } from "./rotary.js";
import type { LayerType } from "./settings.js";

type Layers = Pick<NativeDecoderDescription, "attentionKinds" | "layers">;

/** Layers that all attend alike: to the last `window` tokens, or (null) to all. */
export function alike(count: number, rotation: Rotation, window: number | null = null): Layers {
  return { attentionKinds: [{ window: window ?? 0, ...rotation }], layers: Array(count).fill(0) };
}

/** Layers of two kinds. @throws RangeError unless there is a type for each layer, and a window where one needs it. */
export function ofTypes(
  count: number,
  types: readonly LayerType[],
  window: number | null,
  rotation: (type: LayerType) => Rotation,
): Layers {
  if (types.length !== count)
    throw expected(`${count} types, one a layer,`, "config.layer_types", types, "range");
  if (window === null && types.includes("sliding_attention"))
    throw expected("a window for layers that slide", "config.sliding_window", window, "range");
  const kinds = [...new Set(types)];
  return {
    attentionKinds: kinds.map((type) => ({
      window: type === "sliding_attention" ? (window as number) : 0,
      ...rotation(type),
    })),
    layers: types.map((type) => kinds.indexOf(type)),
  };
}
