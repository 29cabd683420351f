"""The page of a comparison: `compare.md` and `index.html`."""
