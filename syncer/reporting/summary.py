"""A pass in a few lines for a person, and what to do about it."""

from syncer.core.report import ExitCode, Loss, Report
from syncer.core.text import one_line
from syncer.reporting.units import human_bytes, human_seconds, plural

_SHOWN = 10

_NEXT_STEP = {
    ExitCode.FAILED: "Run the same command again: what is pending is tried anew, and partials go on.",
    ExitCode.LOST: "`syncer list --state lost` names them all. A living link brings a file back by itself; "
    "--regenerate has it made again (VideoDB may bill it).",
    ExitCode.LISTING_FAILED: "What was known has been fetched; run again when the API answers.",
    ExitCode.INTERRUPTED: "Run the same command again to go on; partials are kept.",
    ExitCode.TERMINATED: "Run the same command again to go on; partials are kept.",
    ExitCode.BUG: "The counts do not add up, which is a bug: please report it with the file `--report` writes.",
}


def summarise(report: Report) -> str:
    """The report as text, a line each for what was brought, what stands, and what went wrong."""
    lines = [_brought(report), _standing(report)]
    if report.reason:
        lines.append(f"Ended early: {report.reason}")
    lines += [f"  pending  {_name(f.name, f.id)}: {f.reason}" for f in report.failures[:_SHOWN]]
    lines += [_lost(one) for one in report.losses[:_SHOWN]]
    hidden = max(0, len(report.failures) - _SHOWN) + max(0, len(report.deadlines.lost) - _SHOWN)
    if hidden:
        lines.append(f"  … and {hidden} more; `syncer list` has them all.")
    if report.losses:
        lines.append(_damage(report))
    step = _NEXT_STEP.get(ExitCode(report.exit_code)) if report.exit_code in set(ExitCode) else None
    if step:
        lines.append(step)
    return "\n".join(lines)


def _brought(report: Report) -> str:
    moved, seconds = report.transfer, (report.finished_at - report.started_at).total_seconds()
    text = f"Fetched {plural(moved.fetched, 'file')}, {human_bytes(moved.bytes)}, in {human_seconds(seconds)}"
    extras = [
        f"{count} {word}"
        for count, word in (
            (moved.recovered, "recovered"),
            (moved.resumed, "resumed"),
            (moved.restarted, "restarted"),
            (moved.relinked, "relinked"),
            (moved.retries, "retried"),
        )
        if count
    ]
    return f"{text} ({', '.join(extras)})." if extras else f"{text}."


def _standing(report: Report) -> str:
    jobs = report.jobs
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (jobs.stored, "stored"),
            (jobs.pending, "pending"),
            (jobs.processing, "processing"),
            (jobs.remote_error, "failed at VideoDB"),
            (jobs.lost, "lost"),
            (jobs.filtered, "left out by filters"),
        )
        if count
    ]
    listed = plural(report.listing.jobs, "job")
    skipped = f" {plural(report.listing.malformed, 'unreadable entry')} skipped." if report.listing.malformed else ""
    if report.listing.malformed > 1:
        skipped = skipped.replace("entrys", "entries")
    balance = "" if report.balanced else " These do not add up."
    return f"{listed} listed: {', '.join(parts) or 'none'}.{balance}{skipped}"


def _lost(loss: Loss) -> str:
    about = "about " if loss.estimated else ""
    size = "size not known" if loss.bytes is None else f"{about}{human_bytes(loss.bytes)}"
    return f"  lost     {_name(loss.name, loss.id)} [{one_line(loss.id, 40)}], {size}: {loss.reason}"


def _damage(report: Report) -> str:
    files = plural(len(report.deadlines.lost), "file")
    if report.lost_bytes is None:
        return f"Lost in this pass: {files} of unknown size."
    about = "about " if any(one.estimated or one.bytes is None for one in report.losses) else ""
    return f"Lost in this pass: {files}, {about}{human_bytes(report.lost_bytes)}."


def _name(name: str | None, job_id: str) -> str:
    return one_line(name, 60) or one_line(job_id, 60)
