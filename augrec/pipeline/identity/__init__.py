"""The identity of the code behind a result."""
