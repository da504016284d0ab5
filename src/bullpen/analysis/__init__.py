"""Analysis: evidence in, findings and roasts out."""
