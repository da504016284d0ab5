"""The vocabulary: pure values, no input, no output, no framework."""
