"""scripts/bench: builds, measures, tabulates; and what a results.json says."""
