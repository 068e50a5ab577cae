"""Values of numpy's as Python's own, the only ones that every database's driver knows."""

from __future__ import annotations

from typing import Any

# what Python has no type for: nanoseconds would be a number, and so would the longest floats stay
CLOSEST = {"M": "M8[us]", "m": "m8[us]", "f": "f8"}


def plain_value(value: Any) -> Any:
    """A scalar as a number, text or time, an array (n,) or (n, d) as a list of them.

    So are columns that have `tolist`, and what stands in a list or tuple; a masked value is None.
    Times keep microseconds. Anything else is as it was.
    """
    if isinstance(value, list | tuple):
        return _of_one_type([plain_value(one) for one in value])
    if not hasattr(value, "tolist"):
        return value
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    made = (value.astype(CLOSEST[kind]) if kind in CLOSEST else value).tolist()
    return plain_value(made) if isinstance(made, list) else made


def _of_one_type(values: list[Any]) -> list[Any]:
    """[1, 0.5] as [1.0, 0.5]: PostgreSQL's driver sends no list of both."""
    if {type(one) for one in values} - {type(None)} != {int, float}:
        return values
    return [None if one is None else float(one) for one in values]
