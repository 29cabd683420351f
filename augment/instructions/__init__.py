"""Instructions: prompts of tasks whose answers training interactions give, for a language model to be taught with."""
