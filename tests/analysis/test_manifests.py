"""Compose files and Kubernetes manifests: what is found, what is left alone, and what strangers may write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.analysis.analysers._yaml_nodes import read_documents
from bullpen.analysis.roast import ANALYSERS
from bullpen.domain.finding import Severity

pytestmark = pytest.mark.req("ROA-02")

COMPOSE_FAULTS = {
    "privileged": "services:\n  a:\n    privileged: true\n",
    "host-namespace": "services:\n  a:\n    network_mode: host\n",
    "docker-socket": "services:\n  a:\n    volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']\n",
    "moving-image": "services:\n  a:\n    image: registry:5000/team/app\n",
    "secret-in-environment": "services:\n  a:\n    environment:\n      POSTGRES_PASSWORD: hunter2\n",
    "database-port-open": "services:\n  a:\n    image: postgres:17\n    ports: ['5432:5432']\n",
    "no-health-check": "services:\n  a:\n    build: .\n    depends_on: [b]\n  b:\n    build: db\n",
}
COMPOSE_NEAR_MISSES = {
    "privileged": "services:\n  a:\n    privileged: false\n",
    "privileged-in-words": "services:\n  a:\n    privileged: 'true'\n",
    "host-namespace": "services:\n  a:\n    network_mode: bridge\n",
    "docker-socket": "services:\n  a:\n    volumes: ['/var/run/docker:/var/run/docker']\n",
    "moving-image": "services:\n  a:\n    image: registry:5000/team/app:1.2\n  b:\n    image: app:${TAG}\n",
    "built-image": "services:\n  a:\n    image: app\n    build: .\n",
    "digest": "services:\n  a:\n    image: app@sha256:0123\n",
    "secret-in-environment": "services:\n  a:\n    environment:\n      - POSTGRES_PASSWORD=${PASSWORD:?}\n"
    "      - DB_PASSWORD_FILE=/run/secrets/db\n      - TOKEN\n      - USE_TOKEN=true\n",
    "database-port": "services:\n  a:\n    image: postgres:17\n    ports: ['127.0.0.1:5432:5432']\n",
    "no-health-check": "services:\n  a:\n    build: .\n    depends_on: [b]\n  b:\n    build: db\n"
    "    healthcheck: {test: [CMD, true]}\n",
    "waits-for-an-end": "services:\n  a:\n    build: .\n    depends_on: {b: {condition: service_completed_successfully}}\n"
    "  b:\n    build: db\n",
    "none-of-ours": "services: [a, b]\n",
}

POD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  template:
    spec:
      %s
      containers:
        - name: shop
          image: shop:1.2
          resources: {limits: {memory: 1Gi}}
          readinessProbe: {httpGet: {path: /, port: 80}}
          %s
"""
KUBERNETES_FAULTS = {
    "host-namespace": POD % ("hostNetwork: true", ""),
    "docker-socket": POD % ("volumes: [{name: s, hostPath: {path: /var/run/docker.sock}}]", ""),
    "host-path": POD % ("volumes: [{name: s, hostPath: {path: /etc}}]", ""),
    "privileged": POD % ("", "securityContext: {privileged: true}"),
    "privilege-escalation": POD % ("", "securityContext: {allowPrivilegeEscalation: true}"),
    "runs-as-root": POD % ("securityContext: {runAsUser: 0}", ""),
    "capability": POD % ("", "securityContext: {capabilities: {add: [SYS_ADMIN]}}"),
    "secret-in-environment": POD % ("", "env: [{name: API_KEY, value: abc123}]"),
    "moving-image": (POD % ("", "")).replace("shop:1.2", "shop:latest"),
    "no-memory-limit": (POD % ("", "")).replace("limits", "requests"),
    "no-health-check": (POD % ("", "")).replace("readinessProbe", "lifecycle"),
    "secret-in-manifest": "apiVersion: v1\nkind: Secret\nstringData: {password: hunter2}\n",
    "role-may-do-all": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n"
    "rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]\n",
}
KUBERNETES_NEAR_MISSES = {
    "all-is-well": POD % ("", ""),
    "not-privileged": POD % ("hostNetwork: false", "securityContext: {privileged: false}"),
    "other-path": POD % ("volumes: [{name: s, hostPath: {path: /data}}]", ""),
    "the-container-says-more": POD
    % ("securityContext: {runAsUser: 0}", "securityContext: {runAsUser: 1000}"),
    "secret-by-reference": POD % ("", "env: [{name: API_KEY, valueFrom: {secretKeyRef: {name: a, key: b}}}]"),
    "a-patch": "apiVersion: apps/v1\nkind: Deployment\n"
    "spec: {template: {spec: {containers: [{name: shop, env: []}]}}}\n",
    "a-job-needs-no-probe": "apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {containers:"
    " [{name: a, image: 'a:1', resources: {limits: {memory: 1Gi}}}]}}}\n",
    "a-template": (POD % ("hostNetwork: true", "")).replace("shop:1.2", "{{ .Values.image }}"),
    "sealed": "apiVersion: v1\nkind: Secret\nstringData: {password: 'ENC[AES]'}\nsops: {version: 3}\n",
    "to-be-filled-in": "apiVersion: v1\nkind: Secret\nstringData: {password: ${PASSWORD}}\n",
    "some-rights": "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n"
    "rules: [{apiGroups: [''], resources: [pods], verbs: ['*']}]\n",
    "another-thing": "apiVersion: example.org/v1\nkind: Thing\nspec: {privileged: true}\n",
    "no-object": "kind: soft\nhostNetwork: true\n",
}


async def look(make_tree, sandbox, files):
    analyser = ANALYSERS.load("manifests")
    tree = make_tree(files)
    return await analyser.analyse(tree, [path for path in tree.files if analyser.wants(path)], sandbox)


@pytest.mark.parametrize(
    ("name", "rule", "text"),
    [("compose.yaml", *pair) for pair in COMPOSE_FAULTS.items()]
    + [("deploy/shop.yaml", *pair) for pair in KUBERNETES_FAULTS.items()],
)
async def test_each_fault_is_found_once(make_tree, sandbox, name, rule, text):
    seen = await look(make_tree, sandbox, {name: text})
    assert [each.rule for each in seen] == [f"manifests:{rule}"]
    assert "hunter2" not in seen[0].message
    assert text.splitlines()[seen[0].place.line - 1].strip()


@pytest.mark.parametrize(
    ("name", "text"),
    [("docker-compose.yml", text) for text in COMPOSE_NEAR_MISSES.values()]
    + [("deploy/shop.yml", text) for text in KUBERNETES_NEAR_MISSES.values()],
    ids=[*COMPOSE_NEAR_MISSES, *KUBERNETES_NEAR_MISSES],
)
async def test_near_misses_are_left_alone(make_tree, sandbox, name, text):
    assert await look(make_tree, sandbox, {name: text}) == []


async def test_the_place_is_that_of_the_fault_also_in_later_documents(make_tree, sandbox):
    text = f"{KUBERNETES_FAULTS['host-namespace']}---\n{KUBERNETES_FAULTS['privileged']}"
    seen = await look(make_tree, sandbox, {"all.yaml": text})
    lines = text.splitlines()
    assert [lines[each.place.line - 1][each.place.column - 1 :] for each in seen] == ["true", "true}"]


async def test_what_is_merged_in_counts(make_tree, sandbox):
    text = "x-all: &all {privileged: true}\nservices:\n  a:\n    <<: *all\n    build: .\n"
    (seen,) = await look(make_tree, sandbox, {"compose.yml": text})
    assert (seen.rule, seen.place.line) == ("manifests:privileged", 1)


async def test_a_file_for_work_at_home_weighs_less(make_tree, sandbox):
    text = COMPOSE_FAULTS["privileged"]
    files = {"compose.yml": text, "compose.dev.yml": text, "examples/compose.yml": text}
    seen = await look(make_tree, sandbox, files)
    assert [each.severity for each in seen] == [Severity.HIGH, Severity.MEDIUM, Severity.MEDIUM]


MANY = "services:\n  a: &a\n    <<: [" + ", ".join(["*a"] * 3000) + "]\n"
HOSTILE = {
    "deep.yml": "[" * 200_000,
    "deep-mapping.yml": "a: " + "{a: " * 100_000,
    "itself.yml": "services: &a\n  a: *a\n  <<: *a\n",
    "merged.yml": MANY,
    "bomb.yml": "services:\n  a0: &a0 {image: x:1}\n"
    + "".join(f"  a{n}: &a{n} {{b: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 40)),
    "broken.yml": "services: {a: [\n",
    "bytes.yml": b"services:\n  \xff\xfe:\n    privileged: true\n",
    "object.yml": "!!python/object/apply:os.system ['touch /tmp/owned']\n",
    "nul.yml": "services: \x00\n",
    "words.yml": "apiVersion:\n" * 40_000,
    "long.yml": "a: b\n" * 2_000_000,
    "scalar.yml": "services\n",
}


@pytest.mark.timeout(60)  # an order of magnitude more than they take
@pytest.mark.parametrize("name", HOSTILE)
async def test_what_strangers_write_costs_little_and_breaks_nothing(make_tree, sandbox, name):
    for path in ("compose.yml", name):
        seen = await look(make_tree, sandbox, {path: HOSTILE[name]})
        assert {each.rule for each in seen} <= {"manifests:privileged"}


@given(st.text("ab:-[]{}&*!|>'\"\n #<,", max_size=60))
def test_any_text_gives_documents_or_none(text):
    for document in read_documents(text):
        assert document.line >= 1
        assert document.entry("a") is document.get("a")
