"""scripts/gate: whether one version is slower than another."""
