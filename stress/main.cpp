// Catch2's main for the stress tests.
#include "../impl/tests/main.cpp"
