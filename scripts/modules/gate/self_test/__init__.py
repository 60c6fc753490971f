"""scripts/gate --self-test: how often the gate accuses identical versions, and which slowdowns it finds."""
