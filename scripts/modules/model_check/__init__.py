"""scripts/model_check: the Relacy models, weakened orders, planted bugs and their ledger."""
