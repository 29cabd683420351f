"""Any server that speaks OpenAI's chat completions, and its batch files."""
