"""The last passes as one self-contained page: no script, no font, no request to anywhere."""

from collections.abc import Sequence
from datetime import datetime
from html import escape

from syncer.core.history import BANDS, History, Night, band_name, banded, scaled
from syncer.core.model import State
from syncer.core.report import ExitCode
from syncer.reporting.page_style import STYLE
from syncer.reporting.units import human_bytes, human_seconds, plural

_MEANINGS = {
    ExitCode.OK: "all is well",
    ExitCode.BUG: "a bug",
    ExitCode.USAGE: "configuration",
    ExitCode.KEY_REFUSED: "key refused",
    ExitCode.LISTING_FAILED: "listing failed",
    ExitCode.DESTINATION: "destination",
    ExitCode.FAILED: "some pending",
    ExitCode.LOST: "files lost",
    ExitCode.LEDGER_HELD: "ledger held",
    ExitCode.LEDGER_DAMAGED: "ledger damaged",
    ExitCode.INTERRUPTED: "stopped",
    ExitCode.TERMINATED: "stopped",
}
NOTHING = "-"
_MILD = (ExitCode.FAILED, ExitCode.INTERRUPTED, ExitCode.TERMINATED)


def render(history: History) -> str:
    """The page as HTML. Every text from outside is escaped."""
    nights = history.nights
    body = "".join([
        _head(history),
        _tiles(history),
        _chart("Bytes a pass", nights, [n.bytes for n in nights], [human_bytes(n.bytes) for n in nights]),
        _chart("Files a pass", nights, [n.fetched for n in nights], [plural(n.fetched, "file") for n in nights]),
        _chart("Rate", nights, [n.rate or 0 for n in nights], [_rate(n) for n in nights]),
        _margins(nights),
        _reasons(history),
        _table(nights),
    ])  # fmt: skip
    title = "syncer: the last passes"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body><main>{body}</main></body></html>\n"
    )


def word_for(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "died"
    return _MEANINGS.get(ExitCode(code), "") if code in set(ExitCode) else ""


def _head(history: History) -> str:
    place = f"into {escape(history.destination)}" if history.destination else "no destination yet"
    return (
        f"<header><h1>syncer</h1><p>{plural(len(history.nights), 'pass').replace('passs', 'passes')} {place}; "
        f"as of {_when(history.at)} UTC.</p></header>"
    )


def _tiles(history: History) -> str:
    last = history.nights[-1] if history.nights else None
    margin = history.least_margin
    left = NOTHING if margin is None else _margin(margin)
    tiles = [
        ("Last pass", word_for(last.exit_code) if last else "none yet", _mood(last.exit_code) if last else ""),
        ("Stored", f"{history.entries.get(State.STORED, 0):,}", ""),
        ("Pending", f"{_pending(history):,}", "warn" if _pending(history) else ""),
        ("Lost", f"{history.entries.get(State.LOST, 0):,}", "fail" if history.entries.get(State.LOST) else ""),
        (
            "Closest to its deadline",
            left,
            "warn" if _is_close(margin) else "",
        ),
    ]
    cells = "".join(f'<div class="tile {mood}"><dt>{name}</dt><dd>{escape(v)}</dd></div>' for name, v, mood in tiles)
    return f'<dl class="tiles">{cells}</dl>'


def _pending(history: History) -> int:
    return history.entries.get(State.PENDING, 0) + history.entries.get(State.CLAIMED, 0)


def _is_close(margin: float | None) -> bool:
    return margin is not None and margin < 3600


def _margin(seconds: float) -> str:
    return human_seconds(seconds) if seconds >= 0 else f"{human_seconds(-seconds)} late"


def _chart(title: str, nights: Sequence[Night], values: Sequence[float], labels: Sequence[str]) -> str:
    """Columns, one a pass. Each says its figure when pointed at, and to those who listen to the page."""
    if not any(values):
        return f"<section><h2>{title}</h2><p class=none>Nothing yet.</p></section>"
    columns = "".join(
        f'<li style="--h:{height:.1f}%" class="{_mood(night.exit_code)}" title="{_when(night.started_at)}: {label}">'
        f"<span>{_when(night.started_at)}: {label}</span></li>"
        for night, height, label in zip(nights, scaled(values), labels, strict=True)
    )
    top = labels[max(range(len(values)), key=values.__getitem__)]
    head = f"<h2>{title}</h2><p class=top>most: {top}</p>"
    return f'<section>{head}<ol class="columns">{columns}</ol>{_axis(nights)}</section>'


def _axis(nights: Sequence[Night]) -> str:
    return f"<p class=axis><span>{_day(nights[0].started_at)}</span><span>{_day(nights[-1].started_at)}</span></p>"


def _margins(nights: Sequence[Night]) -> str:
    """A field a pass and band: the darker, the more of its files were saved with so much time left."""
    title = "Time left on the link when a file was saved"
    table = [banded(night.story.margins) for night in nights]
    if not any(map(sum, table)):
        return f"<section class=wide><h2>{title}</h2><p class=none>Nothing yet.</p></section>"
    rows = []
    for band in reversed(range(len(BANDS))):
        fields = "".join(
            f'<td style="--a:{_depth(counts[band], sum(counts)):.2f}" class="{"late" if band == 0 else ""}" '
            f'title="{_when(night.started_at)}: {plural(counts[band], "file")}, {band_name(band)}"></td>'
            for night, counts in zip(nights, table, strict=True)
        )
        total = sum(counts[band] for counts in table)
        rows.append(f"<tr><th scope=row>{band_name(band)}</th>{fields}<td class=sum>{total:,}</td></tr>")
    return f'<section class=wide><h2>{title}</h2><table class="heat">{"".join(rows)}</table></section>'


def _depth(count: int, total: int) -> float:
    """How deep a field's colour is: by the root of its share, so that a few files among many are seen."""
    return max(0.2, (count / total) ** 0.5) if count else 0.0


def _reasons(history: History) -> str:
    title = "Tries that failed, by reason"
    found = history.reasons[:12]
    if not found:
        return f"<section class=wide><h2>{title}</h2><p class=none>None failed.</p></section>"
    rows = "".join(
        f'<tr><th scope=row>{escape(name)}</th><td><div class=bar style="--w:{width:.1f}%"></div></td>'
        f"<td class=sum>{count:,}</td></tr>"
        for (name, count), width in zip(found, scaled([float(count) for _, count in found]), strict=True)
    )
    return f'<section class=wide><h2>{title}</h2><table class="bars">{rows}</table></section>'


def _table(nights: Sequence[Night]) -> str:
    rows = "".join(
        f'<tr class="{_mood(n.exit_code)}"><td>{_when(n.started_at)}</td>'
        f"<td>{NOTHING if n.exit_code is None else n.exit_code} {word_for(n.exit_code)}</td>"
        f"<td>{n.listed:,}</td><td>{n.fetched:,}</td><td>{human_bytes(n.bytes)}</td>"
        f"<td>{NOTHING if n.seconds is None else human_seconds(n.seconds)}</td><td>{_rate(n)}</td>"
        f"<td>{n.standing.pending:,}</td><td>{n.standing.lost:,}</td></tr>"
        for n in reversed(nights)
    )
    names = ("Began (UTC)", "Ended with", "Listed", "Fetched", "Bytes", "Took", "Rate", "Pending", "Lost")
    head = "".join(f"<th scope=col>{name}</th>" for name in names)
    return (
        "<section class=wide><h2>The passes</h2><div class=scroll><table class=passes>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _rate(night: Night) -> str:
    return f"{human_bytes(night.rate)}/s" if night.rate else NOTHING


def _mood(code: int | None) -> str:
    if code == ExitCode.OK:
        return "ok"
    return "warn" if code in _MILD else "fail"


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _day(moment: datetime) -> str:
    return f"{moment:%d %b %Y}"
