"""Ready-made ways of misbehaving, by name."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from syncer.sandbox.faults import Fault, Op, When
from syncer.sandbox.faults_api import Shift
from syncer.sandbox.faults_storage import (
    Changed,
    EndsWithLink,
    IgnoredRange,
    Redirect,
    Refused,
    Unsatisfied,
    WrongChecksum,
    WrongRange,
)
from syncer.sandbox.faults_wire import Cut, ErrorPage, PageForm, Reset, Slow, Stall, Status
from syncer.sandbox.model import EntryRules, LinkOrigin, LinkRules, PageRules, Rules, TimeForm


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a sandbox behaves: its standing rules, and the faults that break them for chosen requests."""

    name: str
    about: str = ""  # one line
    rules: Rules = field(default_factory=Rules)
    api: tuple[Fault, ...] = ()
    storage: tuple[Fault, ...] = ()


HEALTHY = Scenario("healthy", "Everything works.")
_ONCE = When(first=1)
_TWICE = When(first=2)

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        HEALTHY,
        Scenario("slow", "One line of 2 MiB a second for all files.", storage=(Slow(rate=2 << 20, shared=True),)),
        Scenario("cut", "The first two answers for each file break off in the middle.", storage=(Cut(when=_TWICE),)),
        Scenario(
            "stalled",
            "The first answer for each file falls silent in the middle.",
            storage=(Stall(when=When(first=1)),),
        ),
        Scenario(
            "error-page",
            "The first answer for each file is a web page with status 200.",
            storage=(ErrorPage(when=When(first=1)),),
        ),
        Scenario(
            "expiry",
            "Links live 24 hours from completion; older jobs are listed with dead links and must be relinked.",
            rules=Rules(links=LinkRules(origin=LinkOrigin.LOOKUP, ttl=timedelta(hours=24))),
        ),
        Scenario(
            "ignored-range",
            "Answers break off, and a request for the rest is answered with the whole file.",
            storage=(IgnoredRange(), Cut(when=When(first=1))),
        ),
        Scenario(
            "wrong-range",
            "Answers break off, and the first request for the rest is answered with another part.",
            storage=(Cut(when=When(first=1)), WrongRange(when=When(ranged=True, first=1))),
        ),
        Scenario(
            "changed",
            "Answers break off, and the file is another one when the rest is asked for.",
            storage=(Changed(), Cut(when=When(first=1))),
        ),
        Scenario("reset", "The first answer for each file is reset in the middle.", storage=(Reset(when=_ONCE),)),
        Scenario(
            "no-range",
            "Answers break off, and the first request for the rest is refused with 416.",
            storage=(Cut(when=_ONCE), Unsatisfied(when=When(ranged=True, first=1))),
        ),
        Scenario(
            "disguised",
            "The first answer for each file is a compressed page that calls itself a video.",
            storage=(ErrorPage(when=_ONCE, form=PageForm.ZIPPED, content_type="video/mp4"),),
        ),
        Scenario(
            "wrong-checksum",
            "The first answer for each file carries the checksum of other bytes.",
            storage=(WrongChecksum(when=_ONCE),),
        ),
        Scenario("redirected", "Every link leads to another host first.", storage=(Redirect(),)),
        Scenario(
            "dying-link",
            "Answers break off, and the link is refused from then on; the API gives another.",
            rules=Rules(links=LinkRules(origin=LinkOrigin.LOOKUP, ttl=timedelta(hours=24))),
            storage=(EndsWithLink(), Refused(when=When(after=1), until_relinked=True), Cut(when=_ONCE)),
        ),
        Scenario(
            "rate-limited",
            "429 with Retry-After, every third listing request and the first request for each file.",
            api=(Status(status=429, retry_after=1, when=When(ops=frozenset({Op.LIST}), every=3, first=9)),),
            storage=(Status(status=429, retry_after=1, when=When(first=1)),),
        ),
        Scenario(
            "server-errors",
            "The first two requests of the API and the first for each file are answered with 500 or 503.",
            api=(Status(status=500, when=When(first=2, per_job=False)),),
            storage=(Status(status=503, when=When(first=1)),),
        ),
        Scenario(
            "naive-times",
            "Times carry no zone, as in VideoDB's own samples.",
            rules=Rules(entries=EntryRules(times=TimeForm.NAIVE)),
        ),
        Scenario(
            "shifting",
            "Small pages, and jobs made at the head of the list between one page and the next.",
            rules=Rules(pages=PageRules(cap=10)),
            api=(Shift(),),
        ),
    )
}


def scenario(name: str) -> Scenario:
    """The ready-made scenario of this name. Raises ValueError, naming those there are."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise ValueError(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}") from None


def combined(*scenarios: Scenario) -> Scenario:
    """Several scenarios at once: the faults of all in turn, under the last rules that are not the default."""
    rules = next((one.rules for one in reversed(scenarios) if one.rules != Rules()), Rules())
    return replace(
        Scenario("+".join(one.name for one in scenarios), " ".join(one.about for one in scenarios)),
        rules=rules,
        api=tuple(fault for one in scenarios for fault in one.api),
        storage=tuple(fault for one in scenarios for fault in one.storage),
    )
