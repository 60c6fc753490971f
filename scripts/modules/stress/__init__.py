"""scripts/stress: soaks, what the checks detect, what is kept in memory."""
