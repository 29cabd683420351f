"""Where answers are kept until they are a table: shards that survive a kill at any moment."""
