"""What tests of pages share: a small world, strange ids, and what a page has in it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

HOSTILE = [
    "<img src=x onerror=document.title='broken'>",
    "</script><script>document.title='broken'</script>",
    "<!--<script>",
    "'; DROP TABLE embsql.runs; --",
    "שלום עולם",
    "\u202eabc",
    "x" * 300,
    "",
]


def toy_pairs(users: int = 60, items: int = 30) -> pa.Table:
    """Two islands of users and items, in the order of time."""
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(users), 10)
    item = rng.integers(0, items // 2, len(user)) * 2 + user % 2
    return pa.table(
        {
            "user_id": [f"u{n:02d}" for n in user],
            "item_id": [f"i{n:02d}" for n in item],
            "event_time": np.arange(len(user)),
        }
    )


def data_of(path: Path) -> dict[str, Any]:
    """The data that a page has in it."""
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>',
        path.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    return json.loads(found[1])


def column(text: str, dtype: Any) -> np.ndarray:
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), dtype)


def ids_of(drawn: dict[str, Any]) -> list[str]:
    return json.loads(gzip.decompress(base64.b64decode(drawn["ids"])))
