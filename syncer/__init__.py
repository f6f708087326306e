"""syncer brings every finished VideoDB download home before its link dies.

The Python API: `report = await syncer.sync(syncer.load_settings({"dest": "videos"}))`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from syncer._version import __version__

if TYPE_CHECKING:
    from syncer.bootstrap import sync
    from syncer.config import Settings
    from syncer.config import load as load_settings
    from syncer.core.errors import SyncerError
    from syncer.core.events import Event
    from syncer.core.ports import Observer
    from syncer.core.report import ExitCode, Report
    from syncer.runner.parts import Stop

__all__ = [
    "Event",
    "ExitCode",
    "Observer",
    "Report",
    "Settings",
    "Stop",
    "SyncerError",
    "__version__",
    "load_settings",
    "sync",
]

_HOMES = {
    "Event": ("syncer.core.events", "Event"),
    "ExitCode": ("syncer.core.report", "ExitCode"),
    "Observer": ("syncer.core.ports", "Observer"),
    "Report": ("syncer.core.report", "Report"),
    "Settings": ("syncer.config", "Settings"),
    "Stop": ("syncer.runner.parts", "Stop"),
    "SyncerError": ("syncer.core.errors", "SyncerError"),
    "load_settings": ("syncer.config", "load"),
    "sync": ("syncer.bootstrap", "sync"),
}


def __getattr__(name: str) -> Any:
    """Public names are loaded on first use: `syncer --version` must not pay for HTTP and SQL."""
    if name not in _HOMES:
        raise AttributeError(f"module 'syncer' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
