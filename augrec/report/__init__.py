"""A finished run, read from its folder and told to a person: `report/results.json` and `report/index.html`."""
