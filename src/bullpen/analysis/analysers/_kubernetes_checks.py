"""What is wrong with an object of Kubernetes, after the Pod Security Standards and common practice."""

from collections.abc import Iterator

from bullpen.analysis.analysers._manifest_fault import Fault, moving, moving_image, plain_secret
from bullpen.analysis.analysers._yaml_nodes import Node
from bullpen.domain.finding import Concern, Severity

_POD = ("spec", "template", "spec")
_WHERE_PODS_ARE = {
    "Pod": ("spec",),
    "Deployment": _POD,
    "StatefulSet": _POD,
    "DaemonSet": _POD,
    "ReplicaSet": _POD,
    "Job": _POD,
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_SERVING = frozenset({"Deployment", "StatefulSet"})  # what should say when it is ready
_SOCKETS = ("/docker.sock", "/containerd.sock", "/crio.sock")
_POWERS = frozenset({"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "NET_ADMIN", "DAC_READ_SEARCH"})


def kubernetes_faults(document: Node) -> Iterator[Fault]:
    """All faults of one object; none if it is no object of Kubernetes."""
    kind = document.word("kind")
    if not kind or not document.word("apiVersion"):
        return
    pod = document.get(*_WHERE_PODS_ARE[kind]) if kind in _WHERE_PODS_ARE else None
    if pod:
        yield from _pod(pod)
        for container in (*pod.each("initContainers"), *pod.each("containers")):
            yield from _container(container, pod)
        for container in pod.each("containers"):
            yield from _running(container, serves=kind in _SERVING)
    if kind == "Secret":
        yield from _secret(document)
    if kind in ("Role", "ClusterRole"):
        yield from _role(document)


def _pod(pod: Node) -> Iterator[Fault]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if found := pod.says_yes(key):
            message = f"{key} lets the pod see and reach what belongs to the node and to other pods."
            yield Fault("host-namespace", message, Severity.MEDIUM, found)
    for volume in pod.each("volumes"):
        path = volume.get("hostPath", "path")
        if path and path.text.endswith(_SOCKETS):
            message = "The pod has the socket of the container runtime: who breaks into it has the node."
            yield Fault("docker-socket", message, Severity.HIGH, path)
        elif path and path.text in ("/", "/etc", "/root", "/var/lib/kubelet"):
            message = f"The pod has {path.text} of the node."
            yield Fault("host-path", message, Severity.MEDIUM, path)


def _container(container: Node, pod: Node) -> Iterator[Fault]:
    name = container.word("name")
    context = container.entry("securityContext") or Node(container.line, container.column)
    if found := context.says_yes("privileged"):
        message = f"The container {name} is privileged: who breaks into it has the node."
        yield Fault("privileged", message, Severity.HIGH, found)
    elif found := context.says_yes("allowPrivilegeEscalation"):
        message = f"A process of the container {name} may gain more rights than it was started with."
        yield Fault("privilege-escalation", message, Severity.MEDIUM, found)
    if found := _as_root(context, pod):
        message = f"The container {name} runs as root."
        yield Fault("runs-as-root", message, Severity.MEDIUM, found)
    added = context.get("capabilities", "add")
    for each in added.items if added else ():
        if each.text.upper().removeprefix("CAP_") in _POWERS:
            message = f"The capability {each.text} gives the container {name} power over the node."
            yield Fault("capability", message, Severity.MEDIUM, each)
    for variable in container.each("env"):
        key, value = variable.entry("name"), variable.entry("value")
        if key and value and (fault := plain_secret(key, value)):
            yield fault


def _as_root(context: Node, pod: Node) -> Node | None:
    """Where it is said that user 0 runs it; what the container says goes before what the pod says."""
    whole = pod.entry("securityContext")
    for place in (context, whole):
        user = place.entry("runAsUser") if place else None
        if user:
            return user if user.text == "0" else None
        if place and (found := place.says_no("runAsNonRoot")):
            return found
    return None


def _running(container: Node, *, serves: bool) -> Iterator[Fault]:
    """Only of containers with an image: others are patches for one that is written elsewhere."""
    image, name = container.entry("image"), container.word("name")
    if image is None:
        return
    if moving_image(image.text):
        yield moving(image)
    if container.get("resources", "limits", "memory") is None:
        message = (
            f"The container {name} has no memory limit: a leak in it takes the node's other pods with it."
        )
        yield Fault("no-memory-limit", message, Severity.LOW, container, Concern.OPERATIONS)
    if serves and not any(container.entry(probe) for probe in ("readinessProbe", "livenessProbe")):
        message = (
            f"The container {name} has no probe: it gets requests before it is ready and after it hangs."
        )
        yield Fault("no-health-check", message, Severity.LOW, container, Concern.OPERATIONS)


def _secret(document: Node) -> Iterator[Fault]:
    if document.entry("sops") or document.word("type") == "kubernetes.io/service-account-token":
        return
    for key in ("stringData", "data"):
        values = document.entry(key)
        written = [name for name, value in values.pairs if _is_written(value.text)] if values else []
        if written:
            names = ", ".join(name.text for name in written)
            message = f"The secret's values stand in the file, and travel with every copy of it: {names}."
            yield Fault("secret-in-manifest", message, Severity.HIGH, written[0])


def _is_written(value: str) -> bool:
    return bool(value.strip()) and not any(mark in value for mark in ("${", "{{", "<", "$("))


def _role(document: Node) -> Iterator[Fault]:
    for rule in document.each("rules"):
        lists = [[item.text for item in rule.each(key)] for key in ("apiGroups", "resources", "verbs")]
        if all("*" in each for each in lists):
            yield Fault(
                "role-may-do-all", "This role may do everything with everything.", Severity.MEDIUM, rule
            )
