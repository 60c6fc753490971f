"""scripts/lint_edges: the named edges of the lock-free code, and its comments."""
