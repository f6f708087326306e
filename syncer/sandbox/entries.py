"""Jobs as the API writes them: entries, links, times, and the envelopes around them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from syncer.sandbox.links import sign
from syncer.sandbox.model import EntryRules, JobStatus, LinkOrigin, LinkRules, SandboxJob, TimeForm

_ELSEWHERE = timezone(timedelta(hours=5, minutes=30))


def written_time(moment: datetime, form: TimeForm) -> str | None:
    """`created_at` of an entry, to the microsecond; None where it is left out."""
    match form:
        case TimeForm.NAIVE:
            return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        case TimeForm.Z:
            return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case TimeForm.OFFSET:
            return moment.astimezone(_ELSEWHERE).isoformat(timespec="microseconds")
        case TimeForm.MISSING:
            return None


def link_of(job: SandboxJob, rules: LinkRules, secret: bytes, now: datetime, *, host: str, lookup: bool) -> str:
    """A signed link to the job's file on `host` (scheme, name, port)."""
    ended = job.completed_at or job.created_at or now
    fresh = rules.origin is LinkOrigin.REQUEST or (rules.origin is LinkOrigin.LOOKUP and lookup)
    # A list that signs nothing anew shows the link it has always shown, whatever was looked up meanwhile.
    stays = rules.origin is LinkOrigin.LOOKUP and not lookup
    generation = 0 if stays else job.generation
    path, query = sign(secret, job.id, rules.form, now if fresh else ended, rules.ttl, generation)
    return f"{host}{path}?{query}"


def entry(job: SandboxJob, rules: EntryRules, link: str | None) -> dict[str, Any]:
    """One element of a page."""
    told: dict[str, Any] = {"id": job.id, "name": job.name, "status": str(job.status)}
    created = None if job.created_at is None else written_time(job.created_at, rules.times)
    if created is not None:
        told["created_at"] = created
    if link is not None:
        told["download_url"] = link
    return told


def output_url(base_url: str, job_id: str) -> str:
    """Where the outcome of the job can be asked for."""
    return f"{base_url}/async-response/{quote(job_id.encode('utf-8', 'surrogatepass'), safe='')}"


def waiting(job: SandboxJob, base_url: str) -> dict[str, Any]:
    """The answer for a job that is still being made.

    The null link is no VideoDB habit that is known. It keeps the answer out of the second shape that the published
    schema of `GET /download/{id}` allows, of which exactly one may match.
    """
    data = {"id": job.id, "output_url": output_url(base_url, job.id), "download_url": None}
    return {"success": True, "status": str(JobStatus.PROCESSING), "data": data}


def finished(job: SandboxJob, told: dict[str, Any]) -> dict[str, Any]:
    """The answer of a look-up for a job that is not being made any more; `told` is its entry.

    The null output_url serves as the null link in `waiting` does.
    """
    data = told | {"output_url": None}
    if job.status is JobStatus.ERROR:
        data["error"] = job.error or "The sandbox was told to fail this job"
    return {"success": True, "data": data}


def of_one_shape(refusal: dict[str, Any]) -> dict[str, Any]:
    """The refusal of a look-up. Its `status` is no word of async answers, for the reason given in `waiting`."""
    return refusal | {"status": "error"}


def started(job: SandboxJob, told: dict[str, Any], base_url: str) -> dict[str, Any]:
    """The answer to a job made, or made again: done at once, or processing."""
    if job.status is JobStatus.PROCESSING:
        return waiting(job, base_url)
    data = told | {"output_url": output_url(base_url, job.id)}
    return {"success": True, "status": "done", "data": data}


def outcome(job: SandboxJob, told: dict[str, Any], rules: EntryRules) -> dict[str, Any]:
    """The answer of `GET /async-response/{id}`, nested or flat as the rules say."""
    if job.status is JobStatus.PROCESSING:
        return {"success": True, "status": "in progress" if rules.in_progress else "processing", "data": {}}
    if job.status is JobStatus.ERROR:
        message = job.error or "The sandbox was told to fail this job"
        result: dict[str, Any] = {"success": False, "message": message, "data": told}
        status = "failed"
    else:
        result = {"success": True, "data": told}
        status = "done"
    if rules.nested_async:
        return {"success": result["success"], "status": status, "response": result}
    return result | {"status": status}


def made_again(job: SandboxJob, rules: EntryRules) -> SandboxJob:
    """The job as the source of a new making with the same parameters."""
    return replace(job, version=job.version + 1) if rules.retry_changes_content else job
