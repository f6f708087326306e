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
    here, running, saved = dict.fromkeys(films, 0.0), [], set()
    at, again = 0.0, 0.0
    while True:
        page = []
        while coming and coming[-1].listed <= at:
            page.append(coming.pop())
        if page:
            policy.listed(page, at)
        running, again = _settle(policy, at, running, films, here)
        if not running and not coming and again == math.inf:
            return saved
        speed = _speed(trace.way, at, len(running))
        soon = min((at + (films[i].size - here[i]) / speed for i in running), default=math.inf)
        deaths = (films[i].deadline for i in running)
        until = min(soon, again, trace.way.next_step(at), coming[-1].listed if coming else math.inf, *deaths)
        now = {i: min(films[i].size, here[i] + speed * (until - at)) for i in running}
        policy.moved(until, here, now)
        here |= now
        at = until
        for i in list(running):
            whole = films[i].size - here[i] <= max(_CRUMB, speed * _TICK)
            if whole or films[i].deadline <= at + _TICK:
                running.remove(i)
                policy.ended(films[i], at)
                saved |= {i} if whole else set()


def _settle(policy, at, running, films, here):
    """Let the policy start and stop until it is content; a dead link is refused at once, and a head tells the size."""
    while True:
        before = list(running)
        running, again = policy.decide(at, running)
        for i in [i for i in running if i not in before]:
            if films[i].deadline <= at + _TICK:
                running.remove(i)
                policy.ended(films[i], at)
            else:
                policy.begun(films[i])
        if running == before:
            return running, again


def _speed(way, at, count):
    return min(way.alone, way.rate(at) / count) if count else math.inf
