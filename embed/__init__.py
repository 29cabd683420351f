"""Records in, float32 matrices out: local embedding models, one matrix and one JSON per field.

Entry points: `embed.stage.embed_source`, `embed.stage.embed_items`; `embed.records` gives the same texts to an audit.
"""
