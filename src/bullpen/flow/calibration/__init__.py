"""How good the judge is: labelled changes, and what is decided about them."""
