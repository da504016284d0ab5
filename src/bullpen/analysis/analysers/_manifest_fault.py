"""What the checks of manifests say, and what they share: images and secrets."""

import re
from dataclasses import dataclass

from bullpen.analysis.analysers._yaml_nodes import Node
from bullpen.domain.finding import Concern, Severity

_SECRET = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRET_KEY|API_KEY|APIKEY|ACCESS_KEY|PRIVATE_KEY|ENCRYPTION_KEY|TOKEN)$"
)
_NOT_A_SECRET = re.compile(
    r"\$|\{\{|^<.*>$|^(?:true|false|yes|no|on|off|none|null|redacted|\*+|x{3,})?$|^(?:/run/secrets|vault:|ref\+|enc[:\[])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One place in a manifest."""

    rule: str
    message: str
    severity: Severity
    node: Node
    concern: Concern = Concern.SECURITY
    same_as: tuple[str, ...] = ()


def moving_image(image: str) -> bool:
    """Whether an image's name gives another image tomorrow: without a tag, or ``latest``. Variables are not known."""
    if not image or "$" in image or "{{" in image or "@" in image:
        return False
    tag = image.rpartition("/")[2].partition(":")[2]
    return tag in ("", "latest")


def plain_secret(name: Node, value: Node) -> Fault | None:
    """A secret written out as the value of an environment variable. The value itself is never repeated."""
    if not _SECRET.search(name.text.upper()) or _NOT_A_SECRET.search(value.text.strip()):
        return None
    message = f"The value of {name.text} stands in the file, and travels with every copy of it."
    return Fault(
        "secret-in-environment", message, Severity.MEDIUM, name, same_as=("detect-secrets:Secret-Keyword",)
    )


def moving(node: Node) -> Fault:
    """The fault of ``moving_image``."""
    message = f"The image {node.text!r} has no fixed version, so what runs changes by itself."
    return Fault("moving-image", message, Severity.LOW, node, Concern.OPERATIONS)
