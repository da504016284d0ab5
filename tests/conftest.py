"""What all tests share: what they need of the machine, which requirement they show, databases, and a sandbox."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck
from tests.machine.brokers import Broker
from tests.machine.needs import Machine
from tests.machine.requirements import listing
from tests.machine.ssh_server import SshServer

from bullpen.domain.actor import Actor, local_person
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.storage.database import Database, open_store
from bullpen.sandbox.base import Sandbox
from bullpen.sandbox.choose import choose_sandbox

_MACHINE = pytest.StashKey[Machine]()
_ONE_AT_A_TIME = (
    "docker",
    "remote_docker",
)  # an engine is started once, in one of the processes that run tests
_NOTHING_IS_LEFT_OUT = os.environ.get("CI", "").lower() in {"1", "true"}


# --- requirements and needs -------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--requirements", action="store_true", help="print which tests show which requirement")


def pytest_configure(config: pytest.Config) -> None:
    # what is asserted never depends on how busy the machine is
    hypothesis.settings.register_profile(
        "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("any machine")
    config.stash[_MACHINE] = Machine()
    # a shell that starts something in the background lets it ignore interrupts, and so would all that tests start
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in needed(item):
            if name in _ONE_AT_A_TIME:
                item.add_marker(pytest.mark.xdist_group(name))


def needed(item: pytest.Item) -> list[str]:
    """Names of what a test needs of the machine."""
    return [name for mark in item.iter_markers("needs") for name in mark.args]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if not session.config.getoption("--requirements"):
        return None
    session.config.get_terminal_writer().line(listing(session.items))
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in needed(item):
        if reason := item.config.stash[_MACHINE].lacks(name):
            pytest.skip(f"needs {name}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On a machine that tests everything, a test that was left out has failed."""
    report = yield
    if report.skipped and _NOTHING_IS_LEFT_OUT and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"left out although CI is set: {_why(report)}"
    return report


def _why(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.getreports("skipped")
    if not skipped:
        return
    terminalreporter.section("left out, and why")
    for reason, count in Counter(_why(report) for report in skipped).most_common():
        terminalreporter.line(f"{count:5} {'test ' if count == 1 else 'tests'}  {reason}")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_MACHINE].ending.close()


# --- databases --------------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of the tests' own PostgreSQL. Its users are marked ``needs("postgresql")``."""
    machine = request.config.stash[_MACHINE]
    if reason := machine.lacks("postgresql"):
        pytest.skip(f"needs postgresql: {reason}")
    assert machine.cluster is not None
    with machine.cluster.fresh_database() as url:
        yield url


@pytest.fixture
def empty_broker(request: pytest.FixtureRequest) -> Callable[[str], Broker]:
    """The tests' own broker of a name, with nothing in it. Its users are marked ``needs(NAME)``."""
    machine = request.config.stash[_MACHINE]

    def emptied(name: str) -> Broker:
        if reason := machine.lacks(name):
            pytest.skip(f"needs {name}: {reason}")
        machine.brokers[name].empty()
        return machine.brokers[name]

    return emptied


@pytest.fixture
def remote_engine(request: pytest.FixtureRequest) -> dict[str, str]:
    """How Docker's own client names the tests' own engine elsewhere. Its users are marked ``needs("remote_docker")``."""
    machine = request.config.stash[_MACHINE]
    if reason := machine.lacks("remote_docker"):
        pytest.skip(f"needs remote_docker: {reason}")
    return machine.remote_docker


@pytest.fixture
def ssh_server(request: pytest.FixtureRequest) -> SshServer:
    """The tests' own. Its users are marked ``needs("ssh server")``."""
    machine = request.config.stash[_MACHINE]
    if reason := machine.lacks("ssh server"):
        pytest.skip(f"needs ssh server: {reason}")
    assert machine.ssh_server is not None
    return machine.ssh_server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bullpen.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def log() -> EventLog:
    """The log of ``database``."""
    return EventLog()


@pytest.fixture
async def database(database_url: str, log: EventLog) -> AsyncIterator[Database]:
    """An open database of each kind, with its tables."""
    store = await open_store(database_url)
    yield Database(store, log)
    await store.close()


@pytest.fixture
def person() -> Actor:
    """Somebody who may do everything in their own organization."""
    return local_person()


# --- the sandbox ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def sandbox() -> Sandbox:
    """The sandbox that this machine would choose; without one nothing of Bullpen works, so its lack is an error."""
    return (await choose_sandbox())[0]
