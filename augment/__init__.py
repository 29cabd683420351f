"""Questions in, validated records out: prompts, tasks, engines and the store of answers. Imports no torch."""
