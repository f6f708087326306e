"""Foreign words made fit for an error text: one short line, printable, without keys or signatures."""

from syncer.core.redact import HIDDEN, redact

_READ = 4000  # characters looked at
_SECRET_NAMES = ("signature", "sig", "token", "key", "secret", "password", "credential")


def tell(text: str, secrets: tuple[str, ...] = (), limit: int = 200) -> str:
    """`text` as one printable line of at most `limit` characters, with nothing secret in it.

    Beyond `core.redact`, every word that looks like the query of a URL is hidden: a signature needs no host before
    it to be one.
    """
    if len(text) > _READ:
        text = text[:_READ].rpartition(" ")[0]  # a secret cut in two would not be known again
    plain = "".join(c if c.isprintable() else " " for c in redact(text, secrets))
    words = (HIDDEN if _is_query(word) else word for word in plain.split())
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _is_query(word: str) -> bool:
    if "=" not in word:
        return False
    return "?" in word or "&" in word or word.lower().rpartition("=")[0].endswith(_SECRET_NAMES)
