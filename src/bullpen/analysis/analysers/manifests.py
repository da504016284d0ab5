"""Compose files and Kubernetes manifests: rights they should not give, and what will fail at night."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from bullpen.analysis.analysers import _compose_checks, _kubernetes_checks, _manifest_fault, _yaml_nodes
from bullpen.analysis.analysers._compose_checks import compose_faults
from bullpen.analysis.analysers._kubernetes_checks import kubernetes_faults
from bullpen.analysis.analysers._manifest_fault import Fault
from bullpen.analysis.analysers._yaml_nodes import MOST_CHARACTERS, read_documents
from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import own_version
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Observation, Place
from bullpen.sandbox.base import Sandbox

_COMPOSE = re.compile(r"(?:docker-)?compose(?:[._-][\w.-]+)?\.ya?ml")
_FOR_WORK = re.compile(r"[._-](?:dev|devel|development|local|test|tests|testing|ci|override|e2e)\b")
_OBJECT = (re.compile(r"^apiVersion:", re.MULTILINE), re.compile(r"^kind:", re.MULTILINE))
_COMPOSE_PAGE = "https://docs.docker.com/reference/compose-file/services/"
_KUBERNETES_PAGE = "https://kubernetes.io/docs/concepts/security/pod-security-standards/"


class Manifests:
    """Faults in what is handed to Compose or to a cluster; templates are left alone."""

    name = "manifests"
    reach = Reach.FILE

    def version(self) -> str:
        """Of the files it is made of."""
        parts = (_compose_checks, _kubernetes_checks, _manifest_fault, _yaml_nodes)
        return own_version(__file__, *(str(part.__file__) for part in parts))

    def wants(self, path: str) -> bool:
        """YAML; which of it is a manifest is seen from its content."""
        return path.endswith((".yml", ".yaml"))

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        return await asyncio.to_thread(lambda: [seen for path in paths for seen in _observe(tree, path)])


def _observe(tree: SourceTree, path: str) -> Iterator[Observation]:
    if (tree.root / path).stat().st_size > MOST_CHARACTERS:
        return
    text = tree.text(path)
    if _COMPOSE.fullmatch(PurePosixPath(path).name):
        for document in read_documents(text):
            yield from (_seen(path, fault, _COMPOSE_PAGE) for fault in compose_faults(document))
    elif "{{" not in text and all(word.search(text) for word in _OBJECT):
        for document in read_documents(text):
            yield from (_seen(path, fault, _KUBERNETES_PAGE) for fault in kubernetes_faults(document))


def _seen(path: str, fault: Fault, page: str) -> Observation:
    mild = role_of(path) is not Role.PRODUCT or _FOR_WORK.search(PurePosixPath(path).name)
    return Observation(
        rule=f"manifests:{fault.rule}",
        message=fault.message,
        severity=milder(fault.severity) if mild else fault.severity,
        concern=fault.concern,
        place=Place(path, fault.node.line, fault.node.column),
        analyser="manifests",
        same_as=fault.same_as,
        url=page,
    )


ANALYSER = Manifests()
