"""What to say of a run of the tests that did not come to its end: which limit it met, and how to raise it."""

from bullpen.domain.test_report import SuiteEnd
from bullpen.sandbox.base import MEBIBYTE, Limits


def why_unfinished(end: SuiteEnd, limits: Limits) -> str:
    """Sentences for people; nothing where the tests finished, or where there are none."""
    match end:
        case SuiteEnd.TIMEOUT:
            return (
                f"The tests did not come to an end within {limits.wall_seconds:g} s, the limit of one run, so only "
                "what passed until then counts as proof. To give them longer, set BULLPEN_TEST_SECONDS, or "
                "test_seconds in config.toml."
            )
        case SuiteEnd.KILLED:
            return (
                f"The tests were killed: they used more than {limits.memory_bytes // MEBIBYTE} MiB of memory, or ended "
                "their own processes. To give them more, set BULLPEN_MEMORY_MIB, or memory_mib in config.toml."
            )
        case SuiteEnd.NOT_STARTED:
            return (
                "The tests could not be started, so nothing could be proved by them. Name an interpreter that has "
                "what they need with --python."
            )
        case SuiteEnd.FINISHED | SuiteEnd.NO_TESTS:
            return ""
