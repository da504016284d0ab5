"""Who asks, for which organization, with which scopes."""

from dataclasses import dataclass
from enum import StrEnum

from bullpen.domain.errors import PermissionRefused
from bullpen.domain.ids import LOCAL_ORGANIZATION, ActorId, OrganizationId, SessionId


class Scope(StrEnum):
    """What an actor may do."""

    READ = "read"
    RUN = "run"
    WORK_WRITE = "work:write"
    APPROVE = "approve"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, a program or an agent, acting for one organization.

    With ``only_session`` it is somebody a session was shared with: storage shows it that session's rows and no others,
    and opens no transaction for it.
    """

    id: ActorId
    organization_id: OrganizationId
    scopes: frozenset[Scope]
    only_session: SessionId | None = None

    def require(self, scope: Scope) -> None:
        """Refuse with the missing scope named."""
        if scope not in self.scopes:
            raise PermissionRefused(
                f"{self.id} may not do this: the scope {scope.value!r} is missing.",
                remedy="Ask an administrator of the organization for it.",
            )


def local_person() -> Actor:
    """The person at this machine's keyboard owns what is on it."""
    return Actor(ActorId("person"), LOCAL_ORGANIZATION, frozenset(Scope))


def agent_actor(organization_id: OrganizationId, role: str) -> Actor:
    """An agent may read, run and change work, and never approves."""
    return Actor(
        ActorId(f"agent:{role}"), organization_id, frozenset({Scope.READ, Scope.RUN, Scope.WORK_WRITE})
    )


def shared_reader(organization_id: OrganizationId, share: str, session_id: SessionId) -> Actor:
    """Somebody with a link to one session may read that one."""
    return Actor(ActorId(f"share:{share}"), organization_id, frozenset({Scope.READ}), session_id)
