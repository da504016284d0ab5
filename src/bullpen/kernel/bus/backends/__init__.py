"""Where messages are kept: one file per backend, chosen by name."""
