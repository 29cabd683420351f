"""One file per layout of raw data; `registry.read` picks by the `format` of the config."""
