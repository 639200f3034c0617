import { gemma2, gemma3 } from "./gemma.js";
import { gptNeox } from "./gpt-neox.js";
import { gpt2, nanogpt } from "./gpt2.js";
import { granite, llama, mistral } from "./llama.js";
import { mixtral, olmoe, qwen3Moe } from "./mixtures.js";
import { olmo, olmo2, olmo3 } from "./olmo.js";
import { olmoCore } from "./olmo-core.js";
import { phi } from "./phi.js";
import { qwen2, qwen3 } from "./qwen.js";
import type { Family } from "./settings.js";
import { smollm3 } from "./smollm3.js";

/** Language models by the `model_type` of their config.json. */
export const families = {
  gpt2,
  nanogpt,
  gpt_neox: gptNeox,
  llama,
  mistral,
  smollm3,
  granite,
  qwen2,
  qwen3,
  olmo,
  olmo2,
  olmo3,
  olmo_core: olmoCore,
  gemma2,
  gemma3_text: gemma3,
  phi,
  mixtral,
  olmoe,
  qwen3_moe: qwen3Moe,
} satisfies Record<string, Family>;

export type FamilyName = keyof typeof families;
export const familyNames = Object.keys(families) as FamilyName[];
