"""The page of one run: `report/results.json` and `report/index.html`."""
