"""Coverage-guided fuzzing of the reader of heads and chunks against h11 alone. Not a test by itself:

    pip install atheris && python tests/differential/fuzz_heads.py -max_total_time=600

Whatever it finds is written to a file `crash-...`, and belongs into test_transports.py.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["h11", "syncer.transfer.wire_head"]):
    from helpers.heads import check_reader

SEEDS = (
    b"\x05\x40\x00\x00HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"\x00\x00\x00\x00HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
    b"\x60\x61\x62\x63HTTP/1.0 206\nX:\n y\n\nhello",
)


def one(data: bytes) -> None:
    """The first four bytes say where the rest is cut."""
    check_reader(data[4:], list(data[:4]))


if __name__ == "__main__":
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    if corpus is not None:
        corpus.mkdir(exist_ok=True)
        for number, seed in enumerate(SEEDS):
            (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
