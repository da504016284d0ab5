"""Providers: one file each; the file name is the provider's name."""
