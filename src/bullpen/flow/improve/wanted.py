"""Whether anybody still wants a session to go on."""

from bullpen.domain.ids import SessionId
from bullpen.domain.session import require_not_cancelled
from bullpen.flow.improve.means import Means
from bullpen.sessions.queries import get_session


async def require_wanted(means: Means, session_id: SessionId) -> None:
    """Go on only with a session that was not cancelled meanwhile.

    Raises:
        Conflict: (code ``cancelled``) it was.
    """
    async with means.database.view(means.actor) as uow:
        require_not_cancelled(await get_session(uow, session_id))
