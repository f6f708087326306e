"""Figures as a person reads them: a table in Markdown, and a picture."""

from pathlib import Path
from typing import Any

from tests.benchmarks import clients
from tests.benchmarks.measure import Cost, medians
from tests.benchmarks.suite import Series

FIGURES, MILLION, THIN = "figures", "million", "thin"
"""The marks, in comments of a document, between which its tables stand."""

_GOALS = {"S": (1.5, 1.3, 1.6, 0.12), "M": (1.0, 0.75, 0.45, 0.2), "L": (1.0, 0.75, 0.3, 0.2)}
_TLS_GOALS = (1.0, 0.8, 0.5, None)
_PROVES = {client.name for client in clients.CLIENTS if client.proves}


def markdown(machine: str, found: list[Series]) -> str:
    """The tables of the corpora."""
    parts = [f"Measured on {machine} Medians; memory is the highest, of the largest process.", ""]
    for series in found:
        parts += [*_figures(series), ""]
    parts += _ratios(found)
    return "\n".join(parts)


def _figures(series: Series) -> list[str]:
    costs = {name: medians(rounds) for name, rounds in series.costs.items()}
    hashing = medians(series.hashing) if series.hashing else None
    lines = [
        f"**{series.title}**",
        "",
        "| | rounds | ended, s | on disk, s | and hashed, s | CPU, s | CPU with hashing, s | peak memory, MiB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, cost in costs.items():
        hashed, cpu = _with_hashing(name, cost, hashing)
        figures = (f"{cost.wall:.2f}", f"{cost.durable:.2f}", _or_dash(hashed), f"{cost.cpu:.2f}", _or_dash(cpu))
        rss = f"{cost.rss / 2**20:.0f}"
        lines.append(f"| {name} | {len(series.costs[name])} | {' | '.join(figures)} | {rss} |")
    return lines


def _with_hashing(name: str, cost: Cost, hashing: Cost | None) -> tuple[float | None, float | None]:
    """Seconds and CPU until the files are on disk and hashed: `sha256sum` added for those that do not hash."""
    if name in _PROVES:
        return cost.durable, cost.cpu
    return (cost.durable + hashing.wall, cost.cpu + hashing.cpu) if hashing else (None, None)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _ratios(found: list[Series]) -> list[str]:
    lines = [
        "What `syncer run` takes, as a part of what the others take (goal in brackets):",
        "",
        "| | rclone, on disk | rclone, and hashed | curl, and hashed | httpx + aiofiles, the same work |",
        "|---|--:|--:|--:|--:|",
    ]
    for series in found:
        costs = {name: medians(rounds) for name, rounds in series.costs.items()}
        if clients.SYNCER not in costs:
            continue
        own, hashing = costs[clients.SYNCER].durable, medians(series.hashing) if series.hashing else None
        goals = _TLS_GOALS if "TLS" in series.title and series.title[0] != "S" else _GOALS[series.title[0]]
        others = [costs[clients.RCLONE].durable if clients.RCLONE in costs else None] + [
            _with_hashing(name, costs[name], hashing)[0] if name in costs else None
            for name in (clients.RCLONE, clients.CURL, clients.PLAIN_ALL)
        ]
        cells = [_ratio(own, other, goal) for other, goal in zip(others, goals, strict=True)]
        lines.append(f"| {series.title} | {' | '.join(cells)} |")
    return lines


def _ratio(own: float, other: float | None, goal: float | None) -> str:
    return "-" if not other else f"{own / other:.2f}{'' if goal is None else f' ({goal:.2f})'}"


def into(document: Path, mark: str, text: str) -> None:
    """Put tables into a document, in the place of those that stand between these marks."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, _, rest = document.read_text(encoding="utf-8").partition(begin)
    _, _, tail = rest.partition(end)
    document.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")


def draw(found: list[Series], target: Path) -> None:
    """Bars: seconds until the bytes are on disk, and hashing behind it for those that do not hash."""
    import matplotlib as mpl  # noqa: PLC0415 - only drawing needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    drawn = [series for series in found if series.costs]
    figure, axes = plt.subplots(1, len(drawn), figsize=(3.6 * len(drawn), 3.6), squeeze=False)
    for axis, series in zip(axes[0], drawn, strict=True):
        _draw_one(axis, series)
    figure.suptitle("Seconds until every byte is on disk; lighter: hashed as well. Less is better.")
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    plt.close(figure)


def _draw_one(axis: Any, series: Series) -> None:
    costs = {name: medians(rounds) for name, rounds in series.costs.items()}
    names = [name for name in costs if name not in (clients.PLAIN, clients.PLAIN_ALL)]
    hashing = medians(series.hashing).wall if series.hashing else 0.0
    for place, name in enumerate(reversed(names)):
        colour = "#1f6f8b" if name == clients.SYNCER else "#9aa5ab"
        axis.barh(place, costs[name].durable, color=colour)
        if name not in _PROVES:
            axis.barh(place, hashing, left=costs[name].durable, color="#d8dee1")
    axis.set_yticks(range(len(names)), list(reversed(names)))
    axis.set_title(series.title, fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
