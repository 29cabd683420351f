"""What answers a request: vLLM in this process, a server, or a rule."""
