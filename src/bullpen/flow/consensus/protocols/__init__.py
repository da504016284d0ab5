"""One file per protocol; its name is the protocol's."""
