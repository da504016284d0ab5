"""Time, from one place. ``SOURCE_DATE_EPOCH`` fixes it, so a run can be repeated to the byte."""

import os
import time


def now() -> float:
    """Seconds since 1970, UTC."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    return float(fixed) if fixed.isdecimal() else time.time()
