"""What an answer may look like, what it is checked for, and how it is asked again: schemas, scores, token budgets."""
