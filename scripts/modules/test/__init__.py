"""scripts/test: builds and runs every test."""
