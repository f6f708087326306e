"""Takes the secrets out of text: signed links lose their query, and keys lose everything."""

import re
from urllib.parse import urlsplit

_URL = re.compile(r"(https?:/+[^\s\"'<>?#]+)[?#][^\s\"'<>]*", re.IGNORECASE)
_USERINFO = re.compile(r"(https?:/+)[^\s/@\"'<>]+@", re.IGNORECASE)
_PARAMETER = re.compile(
    r"\b((?:x-(?:goog|amz)-(?:signature|credential|security-token)|signature|sig|policy|key-pair-id|access_token|token)"
    r"=)[^\s&\"'<>]+",
    re.IGNORECASE,
)  # where a link came apart, or stands without its host
# Behind a control character that `repr` has written out (`\n`, `\x0b`) a key stands after a letter or a digit.
_KEY = re.compile(
    r"(?:\b|(?<=\\[abfnrtv0])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=\\U[0-9a-f]{8}))sk-[A-Za-z0-9_\-]{4,}"
    r"|sk-[A-Za-z0-9]{20,}"
)
_HEADER = re.compile(r"(x-access-token[\\'\"]*\s*[:=,]\s*b?[\\'\"]*)[^\s\\'\",;)\]}]+", re.IGNORECASE)
HIDDEN = "[hidden]"


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """`text` without URL queries, URL passwords, API keys, or any of `secrets`."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    text = _URL.sub(rf"\1?{HIDDEN}", text)
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _PARAMETER.sub(rf"\1{HIDDEN}", text)
    return _KEY.sub(HIDDEN, text)


def host_of(url: str) -> str:
    """The host of a URL, for messages: all of a link that may be shown."""
    try:
        return urlsplit(url).hostname or "the storage"
    except ValueError:
        return "the storage"
