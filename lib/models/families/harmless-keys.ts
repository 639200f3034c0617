/**
 * Keys of published configurations that no family reads and that change no loss: dropout (off in every measurement),
 * generation, training, bookkeeping. transformers 5.24 reads none of them in a forward pass either.
 */
const irrelevant = new RegExp(
  `^(${[
    // dropout, first weights, memory, dtypes: a measurement has its own
    ".*_dropout|.*_pdrop|.*_dropout_prob|initializer_range|torch_dtype|dtype|use_cache|cache_implementation",
    "gradient_checkpointing|use_reentrant_checkpointing|neftune_noise_alpha|attn_implementation|use_flash_attn",
    "chunk_size_feed_forward|torchscript|use_bfloat16|pretraining_tp|is_decoder|is_encoder_decoder",
    // where it comes from and for what it is
    "architectures|auto_map|transformers_version|transformers\\.js_config|unsloth_.*|is_llama_config|_.*",
    "finetuning_task|task_specific_params|problem_type|num_labels|id2label|label2id|tf_legacy_loss",
    "tokenizer_class|tokenizer_.*|model_max_length|max_sequence_length|seq_length|.*_token_ids?",
    // generation, which older versions kept here
    "output_.*|return_dict.*|prefix|max_length|min_length|max_new_tokens|do_sample|early_stopping|num_beams",
    "num_beam_groups|diversity_penalty|temperature|top_k|top_p|min_p|typical_p|repetition_penalty|length_penalty",
    "no_repeat_ngram_size|encoder_no_repeat_ngram_size|bad_words_ids|num_return_sequences",
    "remove_invalid_values|exponential_decay_length_penalty|suppress_tokens|begin_suppress_tokens",
  ].join("|")})$`,
);

/** Keys that change no loss at these values alone, where a family does not read them itself. */
const harmless: Record<string, readonly unknown[]> = {
  rope_interleaved: [false, null],
  use_mrope: [false, null],
  rope_scaling: [null],
  pruned_heads: [{}, null],
  add_cross_attention: [false],
  cross_attention_hidden_size: [null],
  tie_encoder_decoder: [false],
  attention_bias: [false],
  mlp_bias: [false],
  qk_layernorm: [false],
  use_qk_norm: [false],
  clip_qkv: [null],
  sliding_window: [null],
  use_sliding_window: [false],
  attn_logit_softcapping: [null],
  final_logit_softcapping: [null],
  use_bidirectional_attention: [false, null],
  quantization_config: [null],
};

/** Whether a key that a family does not read changes no loss, at this value. */
export function isHarmless(key: string, value: unknown, config: Record<string, unknown>): boolean {
  if (irrelevant.test(key)) return true;
  if (key === "head_dim") return isUsualHeadDim(value, config);
  const values = Object.hasOwn(harmless, key) ? (harmless[key] as readonly unknown[]) : [];
  return values.some((one) => JSON.stringify(one) === JSON.stringify(value));
}

const isUsualHeadDim = (value: unknown, { hidden_size, num_attention_heads }: Record<string, unknown>) =>
  value === null || (Number.isInteger(value) && Number(value) * Number(num_attention_heads) === hidden_size);
