"""How many tokens a text takes: the port, and an estimate that needs no model's vocabulary."""

from collections.abc import Callable

from bullpen.models.base import AssistantTurn, Message, PersonTurn, ToolResult

Estimate = Callable[[str], int]
BYTES_PER_TOKEN = (
    3  # of English about 4, of code 3 to 3.5: rather too many tokens than a call that is refused
)
_FRAME = 4  # tokens a message takes besides its words


def estimate_tokens(text: str) -> int:
    """Tokens of a text, seldom too few; the same text always gives the same number."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size // BYTES_PER_TOKEN)


def message_tokens(message: Message, estimate: Estimate = estimate_tokens) -> int:
    """Tokens of one message of a dialogue."""
    match message:
        case AssistantTurn(text=text, calls=calls):
            return (
                _FRAME + estimate(text) + sum(estimate(one.tool) + estimate(one.arguments) for one in calls)
            )
        case ToolResult(content=content):
            return _FRAME + estimate(content)
        case PersonTurn(text=text):
            return _FRAME + estimate(text)
