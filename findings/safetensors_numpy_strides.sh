#!/bin/bash
# Guess: what safetensors.numpy saves it loads again, or it refuses an array that does not lie in
# memory row by row, as safetensors.torch refuses such a tensor.
# Behavior: it writes the bytes as they lie, under the array's shape. A transposed array comes back
# with its numbers in other places, and nothing says so.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" safetensors==0.8.0 numpy==2.4.6
PYTHONPATH="$folder" python3 - <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import load, save

table = np.arange(6, dtype=np.float32).reshape(2, 3)
found = {
    name: load(save({"t": array}))["t"].tolist()
    for name, array in (("copied", table.T.copy()), ("transposed", table.T))
}
print("safetensors", safetensors.__version__, "numpy", np.__version__, found)
assert found == {
    "copied": [[0, 3], [1, 4], [2, 5]],
    "transposed": [[0, 1], [2, 3], [4, 5]],
}, "it is otherwise now"
PYTHON
