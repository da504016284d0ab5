"""Peers: nobody leads; agents write to each other over the bus, and each message is a task of whoever it is to."""

import json
from typing import Any, Literal

from bullpen.flow.patterns.base import Brief, Options, Step, named, read_options, step_task
from bullpen.flow.teams.base import Conclusion, Course, Results, TeamTask
from bullpen.flow.teams.mail import addressee
from bullpen.kernel.bus.messages import Message


class Peers(Options):
    """Who takes part (a capability), what the first is given, and what is made of the results called ``result``."""

    peers: str = "peer"
    start: Any = None
    result: str = "share"
    combine: Literal["sum", "list"] = "list"


def arrange(brief: Brief) -> Course:
    """See ``Pattern``."""
    options = read_options(Peers, brief)
    names = brief.able(options.peers)
    given = {"kind": "start", "payload": options.start, "from": "", "peers": names}
    begin = Step(("peer_to_peer", brief.goal), f"Begin: {brief.goal}", f"agent:{names[0]}", (), given, "turn")

    def on_message(message: Message) -> TeamTask:
        sender = message.sender.removeprefix("agent:")
        words = {"kind": message.kind, "payload": _read(message.payload), "from": sender, "peers": names}
        to = addressee(message)
        title = f"{message.kind}: {sender} to {to.removeprefix('agent:')}"
        return step_task(Step(("peer_to_peer", message.id), title, to, (), words, "turn"))

    def conclude(results: Results) -> Conclusion:
        shares = named(list(results.values()), options.result)
        agents = {one.agent for one in results.values() if one.done}
        said = f"{len(results)} turns of {len(agents)} peers, {len(shares)} results"
        answer = _combined(options, list(shares.values()))
        return Conclusion(f"{said}: {answer}", {"answer": answer}, reached=bool(shares))

    return Course("peer_to_peer", brief.goal, (step_task(begin),), conclude, on_message=on_message)


def _read(payload: str) -> Any:
    """A payload is JSON text by agreement; what is none is passed on as it is."""
    try:
        return json.loads(payload)
    except ValueError:
        return payload


def _combined(options: Peers, values: list[str]) -> str:
    if options.combine == "sum":
        numbers = [int(one) for one in values if one.lstrip("-").isdecimal()]
        return str(sum(numbers))
    return json.dumps(sorted(values))
