"""Signs the links under which the storage gives files away, and checks them when they come back."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlencode

from syncer.sandbox.model import LinkForm

_COMPACT = "%Y%m%dT%H%M%SZ"
_SIGNATURES = ("X-Goog-Signature", "X-Amz-Signature", "Signature", "sig", "token")
_HOP = "hop"  # counts redirects; set by the storage itself, hence outside the signature


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What a link that carries the right signature grants."""

    job_id: str
    expires_at: datetime  # UTC, as said in the link
    generation: int  # of the job when it was signed
    hop: int  # redirects followed so far


class BadLinkError(Exception):
    """The link was not signed by this sandbox, or was changed since."""


def sign(
    secret: bytes, job_id: str, form: LinkForm, made: datetime, ttl: timedelta, generation: int
) -> tuple[str, str]:
    """Path and query of a link to the job's file that lives from `made` for `ttl`; whole seconds count."""
    made = made.astimezone(UTC).replace(microsecond=0)
    seconds = int(ttl.total_seconds())
    dies = made + timedelta(seconds=seconds)
    path = f"/storage/{_pack(job_id)}.mp4"
    pairs = {"generation": str(generation)}
    match form:
        case LinkForm.GOOG:
            name = "X-Goog-Signature"
            pairs |= {"X-Goog-Algorithm": "GOOG4-RSA-SHA256", "X-Goog-Date": made.strftime(_COMPACT)}
            pairs |= {"X-Goog-Expires": str(seconds), "X-Goog-SignedHeaders": "host"}
        case LinkForm.AMZ:
            name = "X-Amz-Signature"
            pairs |= {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": made.strftime(_COMPACT)}
            pairs |= {"X-Amz-Expires": str(seconds), "X-Amz-SignedHeaders": "host"}
        case LinkForm.EPOCH:
            name = "Signature"
            pairs |= {"Expires": str(int(dies.timestamp()))}
        case LinkForm.AZURE:
            name = "sig"
            pairs |= {"se": dies.strftime("%Y-%m-%dT%H:%M:%SZ")}
        case _:
            name = "token"
            pairs |= {"k": _pack(f"{int(dies.timestamp())}")}
    pairs[name] = _signature(secret, path, pairs)
    return path, "&".join(f"{key}={value}" for key, value in pairs.items()).replace(":", "%3A")


def verify(secret: bytes, path: str, query: str) -> SignedLink:
    """What the link grants, expired or not.

    Raises BadLinkError for a wrong signature, a changed parameter or a path of no job.
    """
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    hop = pairs.pop(_HOP, "0")
    given = next((pairs.pop(name) for name in _SIGNATURES if name in pairs), "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), _signature(secret, path, pairs).encode()):
        raise BadLinkError
    try:
        job_id = _unpack(path.removeprefix("/storage/").removesuffix(".mp4"))
        return SignedLink(job_id, _expiry(pairs), int(pairs["generation"]), int(hop))
    except (ValueError, KeyError, binascii.Error) as error:
        raise BadLinkError from error


def with_hop(query: str, hop: int) -> str:
    """The same query, saying that it has been redirected `hop` times."""
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != _HOP]
    return urlencode([*pairs, (_HOP, str(hop))], quote_via=quote)


def _expiry(pairs: dict[str, str]) -> datetime:
    for vendor in ("X-Goog", "X-Amz"):
        if f"{vendor}-Date" in pairs:
            made = datetime.strptime(pairs[f"{vendor}-Date"], _COMPACT).replace(tzinfo=UTC)
            return made + timedelta(seconds=int(pairs[f"{vendor}-Expires"]))
    if "se" in pairs:
        return datetime.fromisoformat(pairs["se"])
    epoch = pairs["Expires"] if "Expires" in pairs else _unpack(pairs["k"])
    return datetime.fromtimestamp(int(epoch), UTC)


def _signature(secret: bytes, path: str, pairs: dict[str, str]) -> str:
    told = "\n".join([path, *(f"{name}={value}" for name, value in sorted(pairs.items()))])
    return hmac.digest(secret, told.encode("utf-8", "surrogatepass"), "sha256").hex()


def _pack(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii").rstrip("=")


def _unpack(packed: str) -> str:
    padded = packed + "=" * (-len(packed) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True).decode("utf-8", "surrogatepass")
