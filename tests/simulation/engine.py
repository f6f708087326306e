"""A virtual evening: a line that its transfers share, links that die, and a policy that says who runs.

For syncer itself the policy is the planner and the meter of the line that the dispatcher uses, told what the
dispatcher tells them. The others are what such tools do.
"""

import heapq
import math
from datetime import UTC, datetime, timedelta

from syncer.core.planner import Planner, Prefer, Task
from syncer.core.rates import Rates

START = datetime(2026, 11, 5, tzinfo=UTC)
_CRUMB = 1e-3  # bytes
_TICK = 1e-9  # seconds
_TOLD = 0.5  # seconds between two tellings of bytes
_NEWS = 20.0  # seconds for which a change of the line is news


def moment(seconds):
    return START + timedelta(seconds=seconds)


class Syncer:
    """The real planner and the real meter."""

    def __init__(self, trace, prefer=Prefer.FILES):
        self.planner = Planner(START, prefer=prefer)
        self.rates = Rates()
        self.trace = trace
        self.yields = 0

    def listed(self, films, at):
        told = self.trace.sizes_told
        self.planner.add(Task(f.id, moment(f.deadline), size=f.size if told else None) for f in films)

    def moved(self, at, before, now):
        """Bytes arrived: `now` and `before` say how much of each running film is here."""
        self.rates.arrived(at, sum(now[i] - before[i] for i in now))
        for i, size in now.items():
            self.planner.arrived(i, size)

    def ended(self, film, at):
        self.planner.remove(film.id)

    def decide(self, at, running):
        """Who is to run now, and when to ask again; asked again at once while it changes its mind."""
        self.rates.running(at, len(running))
        decision = self.planner.decide(moment(at), self.rates.line(), self.trace.slots)
        for i in decision.stop:
            self.yields += 1
            self.planner.yielded(i)
        again = math.inf if decision.look_again is None else at + max(decision.look_again, 1e-3)
        return [i for i in running if i not in decision.stop] + list(decision.start), again

    def begun(self, film):
        self.planner.learn(film.id, film.size)


class ByKey:
    """Free slots go to the least by a key; what has begun goes on, and what is dead is not begun."""

    def __init__(self, trace, key):
        self.trace, self.key, self.waiting, self.listings = trace, key, [], 0

    def listed(self, films, at):
        for film in films:
            self.listings += 1
            heapq.heappush(self.waiting, (self.key(film, self.listings), film.id, film.deadline))

    def moved(self, at, before, now):
        pass

    def ended(self, film, at):
        pass

    def begun(self, film):
        pass

    def decide(self, at, running):
        chosen = list(running)
        while self.waiting and len(chosen) < self.trace.slots:
            _, i, deadline = heapq.heappop(self.waiting)
            if deadline > at:
                chosen.append(i)
        return chosen, math.inf


POLICIES = {
    "syncer": Syncer,
    "earliest deadline first": lambda trace: ByKey(trace, lambda film, n: film.deadline),
    "smallest first": lambda trace: ByKey(trace, lambda film, n: film.size),
    "as listed (FIFO)": lambda trace: ByKey(trace, lambda film, n: n),
    "newest first": lambda trace: ByKey(trace, lambda film, n: -film.deadline),
}


def run(trace, policy):
    """The ids of the films that were whole before their links died."""
    films = {film.id: film for film in trace.films}
    coming = sorted(trace.films, key=lambda film: (film.listed, film.id), reverse=True)
    here, begun, saved = dict.fromkeys(films, 0.0), {}, set()
    at = 0.0
    while True:
        page = []
        while coming and coming[-1].listed <= at:
            page.append(coming.pop())
        if page:
            policy.listed(page, at)
        again = _settle(policy, at, begun, films, trace.answer)
        if not begun and not coming and again == math.inf:
            return saved
        since, open_now = at, [i for i, opens in begun.items() if opens <= at]
        speed = min(trace.way.alone, trace.way.rate(at) / len(open_now)) if open_now else 0.0
        until = min(
            again,
            trace.way.next_step(at),
            coming[-1].listed if coming else math.inf,
            *(at + (films[i].size - here[i]) / speed for i in open_now),
            *(opens for opens in begun.values() if opens > at),
            *(films[i].deadline for i in begun),
        )
        for told in _tellings(trace.way, at, until):
            more = speed * (told - at)
            now = {i: min(films[i].size, here[i] + more) if i in open_now else here[i] for i in begun}
            policy.moved(told, here, now)
            here |= now
            at = told
        opened = [i for i, opens in begun.items() if since < opens <= until]
        for i in opened:
            policy.begun(films[i])
        for i in list(begun):
            whole = films[i].size - here[i] <= max(_CRUMB, speed * _TICK)
            if whole or films[i].deadline <= at + _TICK:
                del begun[i]
                policy.ended(films[i], at)
                saved |= {i} if whole else set()


def _tellings(way, at, until):
    """When bytes are told: twice a second in truth, which makes a difference for a while after the line has changed."""
    changed = max(begin for begin, _ in way.steps if begin <= at)
    while at + _TOLD < min(until, changed + _NEWS):
        at += _TOLD
        yield at
    yield until


def _settle(policy, at, begun, films, answer):
    """Let the policy start and stop until it is content: when it wants to be asked again.

    A dead link is refused at once; of a living one the head tells the size.
    """
    while True:
        before = list(begun)
        chosen, again = policy.decide(at, before)
        for i in [i for i in before if i not in chosen]:
            del begun[i]
        for i in [i for i in chosen if i not in begun]:
            if films[i].deadline <= at + _TICK:
                policy.ended(films[i], at)
                continue
            begun[i] = at + answer
            if not answer:
                policy.begun(films[i])
        if chosen == before:
            return again
