"""Templates and how they are rendered: what is shown of an item or a user, and in which words."""
