#!/bin/bash
# Guess: LanceDB, which refuses a vector with NaN, refuses one with NULL inside, or leaves its row
# out of a search.
# Behavior: the table keeps the NULL, and a search counts it as 0: [1, NULL] is as far from [1, 2]
# as [1, 0] is, and as near to [1, 0] as a copy.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lancedb==0.40.0 pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import importlib.metadata
import sys

import lancedb
import pyarrow as pa

vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2.0, 1.0, None], pa.float32()), 2)
database = lancedb.connect(sys.argv[1])
table = database.create_table("t", pa.table({"id": ["whole", "half"], "vector": vectors}))
kept = table.to_arrow()["vector"].to_pylist()
distances = {
    asked: {row["id"]: row["_distance"] for row in table.search(list(asked)).to_list()}
    for asked in [(1.0, 2.0), (1.0, 0.0)]
}
print("lancedb", importlib.metadata.version("lancedb"), kept, distances)
assert kept == [[1.0, 2.0], [1.0, None]], "what is kept is otherwise now"
assert distances == {
    (1.0, 2.0): {"whole": 0.0, "half": 4.0},
    (1.0, 0.0): {"whole": 4.0, "half": 0.0},
}, "the distances are others now"
PYTHON
