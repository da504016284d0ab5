"""What is wrong with the services of a Compose file."""

from collections.abc import Iterator

from bullpen.analysis.analysers._manifest_fault import Fault, moving, moving_image, plain_secret
from bullpen.analysis.analysers._yaml_nodes import Node
from bullpen.domain.finding import Concern, Severity

_SOCKET = "/docker.sock"
_DATABASES = ("postgres", "mysql", "mariadb", "mongo", "redis", "elasticsearch", "memcached", "rabbitmq")


def compose_faults(document: Node) -> Iterator[Fault]:
    """All faults of one file."""
    services = document.get("services")
    pairs = [(name, service) for name, service in services.pairs if service.pairs] if services else []
    for name, service in pairs:
        yield from _powers(name.text, service)
        yield from _environment(service)
        yield from _image(service)
        yield from _published(service)
    yield from _unready(pairs)


def _powers(name: str, service: Node) -> Iterator[Fault]:
    if found := service.says_yes("privileged"):
        message = f"The service {name} is privileged: who breaks into it has the host."
        yield Fault("privileged", message, Severity.HIGH, found)
    for key in ("network_mode", "pid", "ipc"):
        if service.word(key) == "host" and (found := service.entry(key)):
            what = key.removesuffix("_mode")
            message = f"The service {name} shares the host's {what}, so nothing keeps it apart."
            yield Fault("host-namespace", message, Severity.MEDIUM, found)
    for volume in service.each("volumes"):
        source = volume.text.partition(":")[0] or volume.word("source")
        if source.endswith(_SOCKET):
            message = f"The service {name} has Docker's socket: who breaks into it has the host."
            yield Fault("docker-socket", message, Severity.HIGH, volume)


def _environment(service: Node) -> Iterator[Fault]:
    variables = service.entry("environment")
    pairs = list(variables.pairs) if variables else []
    for item in variables.items if variables else ():
        name, equals, value = item.text.partition("=")
        if equals:
            pairs.append((Node(item.line, item.column, name), Node(item.line, item.column, value)))
    for name, value in pairs:
        if fault := plain_secret(name, value):
            yield fault


def _image(service: Node) -> Iterator[Fault]:
    image = service.entry("image")
    if image and service.entry("build") is None and moving_image(image.text):
        yield moving(image)


def _published(service: Node) -> Iterator[Fault]:
    image = service.word("image").partition("@")[0].rpartition("/")[2].partition(":")[0]
    if not image.startswith(_DATABASES):
        return
    for port in service.each("ports"):
        parts = port.text.split(":")
        if len(parts) == 2 and parts[0].isdecimal():
            message = f"Port {parts[0]} of {image} is open to every network of the host, past its firewall; write 127.0.0.1:{port.text}."
            yield Fault("database-port-open", message, Severity.LOW, port)


def _unready(pairs: list[tuple[Node, Node]]) -> Iterator[Fault]:
    """Services others are started after, which cannot say when they are ready."""
    services = {name.text: (name, service) for name, service in pairs}
    waited: dict[str, str] = {}
    for name, service in pairs:
        for needed in _started_after(service):
            waited.setdefault(needed, name.text)
    for needed, waiter in waited.items():
        name, service = services.get(needed, (None, None))
        if name and service and not any(service.entry(key) for key in ("healthcheck", "extends", "<<")):
            message = f"The service {waiter} is started after {needed}, which has no health check to say it is ready."
            yield Fault("no-health-check", message, Severity.LOW, name, Concern.OPERATIONS)


def _started_after(service: Node) -> Iterator[str]:
    needs = service.entry("depends_on")
    if needs:
        yield from (item.text for item in needs.items)
        yield from (
            name.text
            for name, how in needs.pairs
            if how.word("condition") in ("service_started", "service_healthy")
        )
