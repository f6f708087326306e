"""Accounts to try things on: a few dozen plausible jobs, and forty hostile ones."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from syncer.sandbox.model import SandboxJob

_MIB = 1 << 20
_PLAIN = (
    "Launch film.mp4",
    "Quarterly town hall",
    "Interview with Dana, take 2",
    "Product walkthrough 2026.mp4",
    "Drone over the harbour.mp4",
    "Customer story - North Pier Bakery",
    "Onboarding, part 1 of 3",
    "Onboarding, part 2 of 3",
    "Onboarding, part 3 of 3",
    "Trailer (final) (2).mp4",
    "Keynote rehearsal",
    "B-roll, rainy street.mov",
    "Panel: the next ten years",
    "Launch film.mp4",
    "Webinar recording 14.03.",
    "Team offsite highlights.mp4",
    "How to change a tyre",
    "Podcast #42 video edit.webm",
    "Unboxing / first look",
    "Lecture 7 | Thermodynamics",
    "Launch film.mp4",
    "Behind the scenes 🎬✨",
    "סרטון השקה",
    "Café crème, été à Orléans.mp4",
    "東京の夜景.mp4",
    "Why? Because!",
    "Teaser 15s 9:16",
    "Teaser 15s 1:1",
    "Recap <draft>",
    'The "big" reveal.mp4',
)


def demo_jobs(rng: random.Random, now: datetime, count: int = 36) -> list[SandboxJob]:
    """So many jobs, newest first, 1 to 24 MiB each and fewer than 7 MiB on average, made within the last 30 hours."""
    jobs = []
    step = timedelta(hours=30) / max(count, 1)
    for number in range(count):
        turn, at = divmod(number, len(_PLAIN))
        name = _PLAIN[at] if turn == 0 else f"Take {turn + 1}, {_PLAIN[at]}"
        size = int(_MIB * (1 + 23 * rng.random() ** 3))
        made = now - step * number - timedelta(microseconds=rng.randrange(1_000_000))
        done = made + timedelta(seconds=rng.randint(5, 90))
        jobs.append(
            SandboxJob(
                f"download-{rng.getrandbits(48):012x}",
                name,
                size,
                created_at=made,
                completed_at=min(done, now),
            )
        )
    return jobs


def hostile_jobs(now: datetime, size: int = 64 * 1024) -> list[SandboxJob]:
    """Forty jobs, newest first, whose names and ids mean harm; `size` bytes each, give or take a few."""
    named = list(_hostile())
    return [
        SandboxJob(job_id, name, size + number, created_at=now - timedelta(minutes=number), completed_at=now)
        for number, (job_id, name) in enumerate(named)
    ]


def _hostile() -> Iterator[tuple[str, str | None]]:
    names: tuple[str | None, ...] = (
        "../../etc/passwd",
        "/etc/shadow",
        "..\\..\\Windows\\System32\\drivers.mp4",
        "C:\\evil.mp4",
        "\\\\server\\share\\evil.mp4",
        "CON.mp4",
        "nul",
        "COM1.tar.mp4",
        "L" * 400,
        "ש" * 400,
        "סרטון השקה סופי.mp4",
        "🎬🔥👩‍👩‍👧‍👦.mp4",
        "line one\nline two\r\nline three.mp4",
        "",
        None,
        "Launch film.mp4",
        "Launch film.mp4",
        "Launch film.mp4",
        "launch FILM.mp4",
        "trailing dot.",
        "trailing spaces   ",
        " . . ",
        "a|b/c\\d:e?f*g",
        "nul\x00byte.mp4",
        "escape \x1b[31mred\x07.mp4",
        ".",
        "..",
        ".hidden",
        "-rf",
        "~root",
        "e\u0301te\u0301.mp4",
        "\u00e9t\u00e9.mp4",
        "right\u202eto\u202cleft 4pm.mp4",
        "{created:%Y}/{id}%s%(x)s$HOME`id`",
    )
    ids = {19: "../x", 20: "a/b", 21: "Same-Case", 22: "same-case", 23: "SAME-CASE", 24: "id with\nline end"}
    for number, name in enumerate(names):
        yield ids.get(number, f"hostile-{number:02d}"), name
    yield "..", "id of two dots.mp4"
    yield "%2e%2e%2fetc", "id already encoded.mp4"
    yield "i" * 300, "long id.mp4"
    yield "נתון?a=b#c&d", "id with query.mp4"
    yield "CON", "reserved id.mp4"
    yield "x\x00y", "id with NUL.mp4"
