"""Scenarios and jobs as JSON, for tests and commands in another process."""

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from syncer.sandbox import faults_api, faults_storage, faults_wire
from syncer.sandbox.faults import Fault
from syncer.sandbox.scenarios import HEALTHY, Scenario, scenario

T = TypeVar("T")

FAULTS: dict[str, type[Fault]] = {
    name: kind
    for module in (faults_wire, faults_storage, faults_api)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Fault) and kind not in (Fault, faults_wire.Broken)
}


def to_json(value: Any) -> Any:
    """Records, enumerations, times and durations as plain JSON values; faults say their kind in `kind`."""
    if is_dataclass(value) and not isinstance(value, type):
        told = {one.name: to_json(getattr(value, one.name)) for one in fields(value)}
        return {"kind": type(value).__name__} | told if isinstance(value, Fault) else told
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(to_json(item) for item in value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value


def scenario_from_json(told: Any) -> Scenario:
    """A scenario by its name, or by its name with fields that differ from it; without a name, from `healthy`.

    `{"name": "cut"}`, or `{"storage": [{"kind": "Cut", "after": 1000, "when": {"first": 2}}]}`. Raises ValueError or
    TypeError for anything it does not know.
    """
    if isinstance(told, str):
        return scenario(told)
    if not isinstance(told, Mapping):
        raise TypeError("a scenario is a name or an object")
    base = scenario(told["name"]) if told.get("name") else replace(HEALTHY, name="custom")
    return replace(base, **_fields(Scenario, {key: value for key, value in told.items() if key != "name"}))


def from_json(kind: type[T], told: Any) -> T:
    """A record of this kind. Raises ValueError or TypeError for what does not fit."""
    if not isinstance(told, Mapping):
        raise TypeError(f"{kind.__name__} is an object")
    if kind is Fault:
        named = FAULTS.get(str(told.get("kind")))
        if named is None:
            raise ValueError(f"no fault {told.get('kind')!r}; there are {', '.join(FAULTS)}")
        return typing.cast("T", from_json(named, {key: item for key, item in told.items() if key != "kind"}))
    return kind(**_fields(kind, told))


def _fields(kind: type, told: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    for name in told:
        if name not in hints:
            raise ValueError(f"{kind.__name__} has no field {name!r}")
    return {name: _read(hints[name], value) for name, value in told.items()}


def _read(hint: Any, value: Any) -> Any:  # noqa: PLR0911 - one line a kind of type
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _read(next(arg for arg in args if arg is not type(None)), value)
    if origin is tuple:
        return tuple(_read(args[0], item) for item in value)
    if origin is frozenset:
        return frozenset(_read(args[0], item) for item in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict(value)
    if is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), value)
    return _scalar(hint, value)


def _scalar(hint: Any, value: Any) -> Any:
    if hint is timedelta:
        return timedelta(seconds=float(value))
    if hint is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(f"{value!r} says no zone")
        return moment
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    if hint is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ValueError(f"{value!r} is no {hint.__name__}")
    return value
