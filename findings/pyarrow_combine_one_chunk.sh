#!/bin/bash
# Guess: ChunkedArray.combine_chunks() of a single chunk gives that chunk, as Table.combine_chunks() does for each of its
# columns.
# Behavior: it copies the values, so that a column of 100,000 vectors of 384 floats costs 150 MB more and half a second on a
# busy machine; the same column within a table is not copied.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" pyarrow==26.0.1
found=$(PYTHONPATH="$folder" python3 - <<'PYTHON'
import pyarrow as pa

print("pyarrow", pa.__version__)
vectors = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))
for name, chunk in {"numbers": pa.array([1.0, 2.0]), "vectors": vectors}.items():
    column = pa.chunked_array([chunk])
    address = chunk.buffers()[-1].address
    alone = column.combine_chunks()
    within = pa.table({"column": column}).combine_chunks()["column"].chunk(0)
    print(name, "alone shared:", alone.buffers()[-1].address == address)
    print(name, "in a table shared:", within.buffers()[-1].address == address)
PYTHON
)
echo "$found"
[[ "$found" == *"numbers alone shared: False"* && "$found" == *"numbers in a table shared: True"* ]]
[[ "$found" == *"vectors alone shared: False"* && "$found" == *"vectors in a table shared: True"* ]]
