"""Choose how to run code in isolation here. There is no fallback to running it without."""

from bullpen.domain.errors import Missing
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sandbox.base import Backend, Probe, Sandbox

BACKENDS: ExtensionPoint[Backend] = ExtensionPoint("bullpen.sandbox.backends", "backend")
AUTO = "auto"
IN_ORDER = ("bubblewrap", "docker")  # what is tried where nobody names one


async def choose_sandbox(wanted: str = AUTO) -> tuple[Sandbox, Probe]:
    """The backend called ``wanted``, or the first that works; with what it said of itself when tried.

    Show ``Probe.weaknesses`` to people: a limit that does not hold here is named there.

    Raises:
        Missing: it does not work here, or none does; the remedy says how to get one.
        NotFound: there is no backend of that name.
    """
    if wanted != AUTO:
        return await _working(wanted)
    refusals: dict[str, Missing] = {}
    for name in IN_ORDER:
        try:
            return await _working(name)
        except Missing as error:
            refusals[name] = error
    reasons = " ".join(error.sentence for error in refusals.values())
    remedies = dict.fromkeys(error.remedy for error in refusals.values() if error.remedy)
    raise Missing(f"Nothing here can run code in isolation. {reasons}", remedy=" Or: ".join(remedies))


async def _working(name: str) -> tuple[Backend, Probe]:
    backend = BACKENDS.load(name)
    probe = await backend.probe()
    if not probe.works:
        raise Missing(f"The {name} sandbox does not work here: {probe.reason}", remedy=probe.remedy)
    return backend, probe
