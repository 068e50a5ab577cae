#!/bin/bash
# Guess: libsql and Turso, the two databases of one maker with the same functions for vectors,
# give one distance for the same two vectors.
# Behavior: by cosine a vector of zeros is NULL from anything to libsql; to Turso it is 1 from
# others and 0 from another of zeros, which so is nearer to it than all. A vector whose squares no
# float holds is NULL from itself to libsql, and 0 to Turso.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" libsql==0.1.11 pyturso==0.8.3
PYTHONPATH="$folder" python3 - <<'PYTHON'
import importlib.metadata

import libsql
import turso

PAIRS = [("[2,0]", "[1,0]"), ("[0,0]", "[1,0]"), ("[0,0]", "[0,0]"), ("[1e20,0]", "[1e20,0]")]


def distances(connection):
    """The distances of the pairs."""
    terms = [f"vector_distance_cos(vector32('{a}'), vector32('{b}'))" for a, b in PAIRS]
    row = connection.execute(f"SELECT {', '.join(terms)}").fetchone()
    return [value if value is None else round(value, 6) for value in row]


found = {
    "libsql": distances(libsql.connect(":memory:")),
    "pyturso": distances(turso.connect(":memory:")),
}
print({name: (importlib.metadata.version(name), values) for name, values in found.items()})
assert found == {
    "libsql": [0.0, None, None, None],
    "pyturso": [0.0, 1.0, 0.0, 0.0],
}, "it is otherwise now"
PYTHON
