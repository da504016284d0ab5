"""Analysers: one file each; the file name is the analyser's name."""
