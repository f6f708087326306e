"""The storage and the API of a benchmark: nginx on loopback, with and without TLS, and the list beside it."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_CONFIG = """
daemon off;
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    types {{ video/mp4 mp4; }}
    server {{
        listen 127.0.0.1:{http};
        listen 127.0.0.1:{https} ssl;
        ssl_certificate {folder}/host.pem;
        ssl_certificate_key {folder}/host.key;
        ssl_protocols TLSv1.3;
        root {root};
        {limit}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the files are to be had."""

    http: int  # ports
    https: int
    ca: Path

    def base(self, scheme: str) -> str:
        return f"{scheme}://localhost:{self.https}" if scheme == "https" else f"http://127.0.0.1:{self.http}"


@contextmanager
def nginx(root: Path, folder: Path, limit: str = "") -> Iterator[Storage]:
    """nginx over the files in `root`, its configuration and certificates in `folder`; `limit` is a directive of its."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    folder.mkdir()
    make_certificates(folder)
    storage = Storage(free_port(), free_port(), folder / "ca.pem")
    user = "user root;" if Path("/proc/self").owner() == "root" else ""
    config = folder / "nginx.conf"
    ports = {"http": storage.http, "https": storage.https}
    config.write_text(_CONFIG.format(folder=folder, root=root, user=user, limit=limit, **ports))
    process = subprocess.Popen([program, "-c", str(config), "-p", str(folder)])
    try:
        wait_for(storage.http, process)
        yield storage
    finally:
        end(process)


@contextmanager
def api(entries: Path) -> Iterator[str]:
    """The list in the file `entries`; the base URL of the API that gives it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.lister", str(entries)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


def make_certificates(folder: Path) -> None:
    """An authority of our own, and a certificate for localhost signed by it."""
    config = folder / "openssl.cnf"
    config.write_text(
        "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=benchmark\n"
        "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n"
        "[host]\nsubjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "extendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config", str(config)]
    ca = ["-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem")]
    _openssl("req", "-x509", "-days", "30", "-extensions", "ca", *key, *ca)
    request = folder / "host.csr"
    _openssl("req", *key, "-keyout", str(folder / "host.key"), "-out", str(request))
    signed = ["-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial", "-days", "30"]
    host = ["-extfile", str(config), "-extensions", "host", "-out", str(folder / "host.pem")]
    _openssl("x509", "-req", "-in", str(request), *signed, *host)


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("nginx did not start")


def end(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
