"""scripts/plot: the charts of a results.json, and how every chart looks."""
