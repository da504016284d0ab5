"""What several commands are given: repositories, baselines, sessions."""

from pathlib import Path

from bullpen.domain.errors import InvalidInput


def full_path(repo: str) -> str:
    """A folder's full path, so that a session can be found again from anywhere; a URL as it is."""
    is_url = "://" in repo or (":" in repo and not Path(repo).exists())
    return repo if is_url else str(Path(repo).absolute())


def baseline_path(given: str) -> str:
    """The full path of a baseline that can be read; empty if none is given.

    Raises:
        InvalidInput: it cannot be read, or is neither SARIF nor a list of fingerprints.
    """
    if not given:
        return ""
    from bullpen.analysis.baseline import read_baseline

    path = Path(given).absolute()
    try:
        read_baseline(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInput(
            f"The baseline {given} cannot be read: {reason}.",
            remedy="Name a SARIF file, such as one written by `bullpen roast --sarif FILE`.",
        ) from error
    return str(path)
