"""Which proxy stands before which address, as the environment says and httpx reads it: pure."""

import ipaddress
from collections.abc import Mapping


def routes(environment: Mapping[str, str]) -> dict[str, str | None]:
    """httpx's patterns of addresses and the proxy for each, None where there is to be none.

    `environment` is what `urllib.request.getproxies` found: schemes, and `no` for the exceptions.
    """
    found: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        proxy = environment.get(scheme)
        if proxy:
            found[f"{scheme}://"] = proxy if "://" in proxy else f"http://{proxy}"
    for host in (word.strip() for word in environment.get("no", "").split(",")):
        if host == "*":
            return {}
        if host:
            found[_exception(host)] = None
    return found


def _exception(host: str) -> str:
    if "://" in host:
        return host
    try:
        address = ipaddress.ip_address(host.split("/", maxsplit=1)[0])
    except ValueError:
        return f"all://{host}" if host.lower() == "localhost" else f"all://*{host}"
    return f"all://{host}" if address.version == 4 else f"all://[{host}]"
