"""Test runners: one file each; the file name is the runner's name."""
