"""What a source would be asked, made as it is made for an engine, and shown instead of answered."""
