"""Runs the simulation at large, and writes docs/deadlines.md and its chart: `python -m tests.simulation`."""

import argparse
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from simulation.engine import POLICIES, run
from simulation.traces import fits_side_by_side, optimum, spared, trace, without_foresight

ROOT = Path(__file__).parents[2]
MEASURED = 10.0
"""Seconds a feasible trace must have to spare: what it takes to find out how fast the line is."""


@dataclass(frozen=True)
class Kind:
    """One kind of trace. `loads` are taken in turn: 2.0 asks twice what the line carries.

    It has 10 ** `least` to 10 ** `most` films; `parts` of the line are what one connection may carry, see `trace`.
    """

    name: str
    loads: tuple[float, ...]
    count: int
    least: float = 1.0
    most: float = 1.8
    sizes_told: bool = True
    drops: bool | None = False
    parts: tuple[int, ...] = (1,)

    @property
    def feasible(self) -> bool:
        return self.name.startswith("feasible")

    def tries(self, scale: float) -> int:
        """So many traces at that scale; of those that take minutes each, none where their share is less than half."""
        share = round(self.count * scale)
        return share if self.least > 1 else max(20, share)


PARTS = (2, 3, 4, 8)
KINDS = (
    Kind("feasible", (0.5, 0.8, 0.9, 0.95, 0.99), 10_000, drops=None),
    Kind("feasible, up to 400 files", (0.9, 0.95, 0.99), 300, most=2.6, drops=None),
    Kind("feasible, the line drops unforeseen", (0.5, 0.8, 0.9, 0.95, 0.99), 2000, drops=True),
    Kind("overloaded", (1.3, 2.0, 4.0), 1000),
    Kind("overloaded, up to 400 files", (1.3, 2.0, 4.0), 200, most=2.6),
    Kind("overloaded, sizes not told", (1.3, 2.0, 4.0), 1000, sizes_told=False, drops=None),
    Kind("overloaded, the line drops unforeseen", (1.3, 2.0, 4.0), 1000, drops=True),
    Kind("feasible, 10,000 to 100,000 files", (0.9, 0.95, 0.99), 6, least=4, most=5, drops=None),
    Kind("overloaded, 10,000 to 100,000 files", (1.3, 2.0, 4.0), 6, least=4, most=5, drops=None),
    Kind("feasible, a million files", (0.95,), 1, least=6, most=6),
    Kind("overloaded, a million files", (2.0,), 1, least=6, most=6),
    Kind("feasible, a connection carries a part", (0.5, 0.8, 0.9), 300, parts=PARTS),
    Kind("overloaded, a connection carries a part", (1.3, 2.0, 4.0), 300, parts=PARTS),
)
KNOWABLE = "without foresight"
SEEDS = "seeds"  # where the batches that were measured begin
SEEN = 200
"""Traces of each kind that the other policies are tried on, where a trace does not take minutes."""


def shares(kind: Kind, seed: int, policies=("syncer",)) -> dict[str, float] | None:
    """What each policy saved of the optimum; None for a trace that is not of the kind."""
    one = trace(
        seed,
        load=kind.loads[seed % len(kind.loads)],
        least=kind.least,
        most=kind.most,
        sizes_told=kind.sizes_told,
        drops=kind.drops,
        parts=kind.parts,
    )
    if kind.feasible and not (spared(one) >= MEASURED and (kind.parts == (1,) or fits_side_by_side(one, MEASURED))):
        return None
    best = len(one.films) if kind.feasible else optimum(one)
    saved = {name: len(run(one, POLICIES[name](one))) / best for name in policies}
    return saved | {KNOWABLE: 1.0 if kind.feasible else without_foresight(one, MEASURED) / best}


def measure(kind: Kind, pool, scale: float, found=None, after=lambda _: None) -> dict[str, list[float]]:
    """The shares of so many traces, by policy; the other policies on the first of them.

    `found` is what there is of them already; `after` is told what there is after each batch.
    """
    found = found or {name: [] for name in (*POLICIES, KNOWABLE, SEEDS)}
    count = kind.tries(scale)
    step = min(100, count)
    while len(found["syncer"]) < count:
        few = len(found["syncer"]) < SEEN and kind.least < 6
        begin = len(found[SEEDS]) * step
        work = partial(shares, kind, policies=tuple(POLICIES) if few else ("syncer",))
        for result in pool.map(work, range(begin, begin + step), chunksize=max(1, step // 10)):
            for name, share in (result or {}).items():
                if len(found[name]) < (count if name in ("syncer", KNOWABLE) else SEEN):
                    found[name].append(share)
        found[SEEDS].append(begin)
        after(found)
    return found


def table(results) -> list[str]:
    """Means in percent of the optimum, and of how many traces; beside them the worst, and what foresight is worth."""
    head = f"| | traces | {' | '.join(POLICIES)} | at worst | lost any | {KNOWABLE} | syncer of that | at worst |"
    lines = [head, "|---" * (len(POLICIES) + 7) + "|"]
    for kind, found in results:
        ours = found["syncer"]
        means = " | ".join(_percent(_mean(found[name])) if found[name] else "" for name in POLICIES)
        row = f"| {kind.name} | {len(ours):,} | {means} | {_percent(min(ours))} | "
        if kind.feasible:
            lines.append(f"{row}{sum(share < 1 for share in ours)} | | | |")
            continue
        of_that = [share / best for share, best in zip(ours, found[KNOWABLE], strict=True)]
        beside = [_mean(found[KNOWABLE]), _mean(of_that), min(of_that)]
        lines.append(f"{row}| {' | '.join(map(_percent, beside))} |")
    return lines


def _mean(values) -> float:
    return sum(values) / len(values)


def _percent(share: float) -> str:
    """Rounded down: what is not all of it does not look like it."""
    return f"{math.floor(1000 * share + 1e-9) / 10:.1f} %"


def chart(results, path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - only the report draws

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    shown = [(kind, found) for kind, found in results if all(found[name] for name in POLICIES)]
    figure, axes = plt.subplots(figsize=(9, 0.85 * len(shown) + 1))
    height = 0.8 / len(POLICIES)
    for at, name in enumerate(POLICIES):
        means = [100 * _mean(found[name]) for _, found in shown]
        axes.barh([n + at * height for n in range(len(shown))], means, height, label=name)
    axes.set_yticks(
        [n + 0.4 - height / 2 for n in range(len(shown))], [kind.name.replace(", ", ",\n") for kind, _ in shown]
    )
    axes.invert_yaxis()
    axes.set_xlabel("files saved, % of the optimum")
    axes.set_xlim(0, 100)
    figure.legend(ncols=len(POLICIES), loc="upper center", frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.96))
    figure.savefig(path, dpi=110)


def million(counts=(10_000, 100_000, 1_000_000)) -> list[str]:
    lines = ["| due | planned in | memory | each further file |", "|---|---|---|---|"]
    for count in counts:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("million.py")), str(count)],
            capture_output=True,
            text=True,
            check=True,
        )
        got = json.loads(done.stdout)
        lines.append(f"| {count:,} | {got['seconds']:.2f} s | {got['megabytes']:.0f} MB | {1e6 * got['each']:.0f} µs |")
    return lines


def _keep(path: Path | None, found, name: str, of_kind) -> None:
    found[name] = of_kind
    if path is not None:
        path.write_text(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the traces to run; 1.0 takes an hour")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of deadlines.md and deadlines.png")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes at work")
    parser.add_argument("--only", default="", help="the kind of this name, or those that begin so; more as in --keep")
    parser.add_argument("--keep", type=Path, help="file of what was found; a run that was stopped goes on from it")
    options = parser.parse_args()
    found = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    with ProcessPoolExecutor(options.jobs) as pool:
        named = [kind for kind in KINDS if kind.name == options.only]
        for kind in named or [kind for kind in KINDS if kind.name.startswith(options.only)]:
            if not kind.tries(options.scale):
                continue
            keep = partial(_keep, options.keep, found, kind.name)
            measure(kind, pool, options.scale, found.get(kind.name), keep)
            sys.stdout.write(f"{table([(kind, found[kind.name])])[-1]}\n")
            sys.stdout.flush()
    results = [(kind, found[kind.name]) for kind in KINDS if kind.name in found]
    if any(kind.tries(options.scale) and kind.name not in found for kind in KINDS):
        return
    chart(results, options.out / "deadlines.png")
    page = options.out / "deadlines.md"
    text = page.read_text(encoding="utf-8")
    for label, lines in (("policies", table(results)), ("million", million())):
        head, rest = text.split(f"<!-- {label} -->\n", 1)
        text = "\n".join([f"{head}<!-- {label} -->", *lines, f"<!-- end -->{rest.split('<!-- end -->', 1)[1]}"])
    page.write_text(text, encoding="utf-8")
