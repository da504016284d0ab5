"""Order numbers."""

import random
import string

ALPHABET = string.ascii_uppercase + string.digits


def order_number(seed: int) -> str:
    """A number that looks random but follows from a seed, so that an import can be repeated."""
    random.seed(seed)
    return "".join(random.choice(ALPHABET) for _ in range(8))
