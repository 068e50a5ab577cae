"""Files as sources: which texts name one, and the function of DuckDB that reads it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

READERS = {
    "parquet": "read_parquet",
    "csv": "read_csv",
    "tsv": "read_csv",
    "txt": "read_csv",
    "dat": "read_csv",
    "data": "read_csv",
    "json": "read_json",
    "jsonl": "read_json",
    "ndjson": "read_json",
}
ENDING = re.compile(r"\.(\w+?)(\.(gz|zst))?$", re.IGNORECASE)
QUOTED = re.compile(r"'(?P<single>(?:[^']|'')+)'|\"(?P<double>[^\"]+)\"")
SQL = re.compile(
    r"--|/\*|\(|(SELECT|WITH|FROM|VALUES|TABLE|PIVOT|UNPIVOT|DESCRIBE|SUMMARIZE|SHOW)\b",
    re.IGNORECASE,
)
# what no table is called
PLAIN = re.compile(r"\.(parquet|csv|tsv|json|jsonl|ndjson)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """A file, or a pattern of several, and the function of DuckDB that reads it."""

    path: str
    reader: str

    def select(self, types: Mapping[str, str] | None = None, **options: str) -> str:
        """A SELECT of its columns.

        `types` are those of some columns of a CSV file, of all where options say how it is written;
        of JSON, of the wanted ones.
        """
        if types:
            listed = ", ".join(
                f"{literal(name)}: {literal(type_)}" for name, type_ in types.items()
            )
            every = self.reader == "read_json" or "auto_detect" in options
            options |= {"columns" if every else "types": f"{{{listed}}}"}
        written = "".join(f", {name} = {value}" for name, value in options.items())
        return f"SELECT * FROM {self.reader}({literal(self.path)}{written})"


def literal(text: str) -> str:
    """A string as SQL."""
    return "'" + text.replace("'", "''") + "'"


def exactly(path: str) -> str:
    """A path as a pattern that nothing else fits, where its own letters would be one."""
    if not os.path.exists(path):  # noqa: PTH110 - False for a name too long for the system
        return path
    return re.sub(r"([*?\[])", r"[\1]", path)


def named_file(text: str) -> str | None:
    """The path that a source names, which may be quoted, a pattern, or a folder's.

    None where it is SQL.
    """
    quoted = QUOTED.fullmatch(text)
    if quoted and (quoted["single"] or reader(quoted["double"])):
        return (quoted["single"] or "").replace("''", "'") or quoted["double"]
    words = re.search(r"\s", text) is not None
    if quoted or "\n" in text or (words and SQL.match(text)):
        return None
    # or a table with its schema
    if re.fullmatch(r"\w+\.\w+", text) and not PLAIN.search(text):
        return text if Path(text).is_file() else None
    plain = not words and "/" in text and not re.search(r"['\"();]", text)
    return (
        text
        if plain
        or reader(text)
        or text.endswith(("/", "\\"))
        or _lies_in_a_folder(text)
        else None
    )


def _lies_in_a_folder(text: str) -> bool:
    return "/" in text and len(text) < 1024 and Path(text).exists()


def reader(path: str) -> str | None:
    """The function that reads files of such a name; None where the name does not tell."""
    ending = ENDING.search(path)
    return READERS.get(ending[1].lower()) if ending else None


def located(path: str) -> File | None:
    """The file or files of a path, a folder's being all in it.

    None where the name tells no format, or several.
    """
    if not Path(path).is_dir():
        function = reader(path)
        return File(exactly(path), function) if function else None
    kinds = endings(path)
    if len({reader(kind) for kind in kinds}) != 1 or len(kinds) != 1:
        return None
    return within(path, next(iter(kinds)))


def endings(folder: str) -> Counter[str]:
    """The endings of a folder's files that have a known format, and how many have each."""
    files = (path.name for path in Path(folder).rglob("*") if path.is_file())
    found = filter(None, map(ENDING.search, files))
    return Counter(match[0] for match in found if reader(match[0]))


def within(folder: str, ending: str) -> File:
    """The files below a folder whose names end so."""
    within_it = f"{exactly(folder).rstrip('/')}/**/*{ending}"
    return File(within_it, reader(ending) or "read_csv")


def is_text_file(path: str) -> bool:
    """Whether a file is there and begins as text does."""
    file = Path(path)
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return b"\0" not in content.read(4096)
