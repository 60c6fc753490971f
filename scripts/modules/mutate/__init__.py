"""scripts/mutate: changes the project in many small ways, and looks which of them the tests notice."""
