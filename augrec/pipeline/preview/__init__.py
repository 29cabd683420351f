"""The prompts of a run and what they will take, looked at before anything is asked or written."""
