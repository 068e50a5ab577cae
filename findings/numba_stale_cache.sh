#!/bin/bash
# Guess: numba's cache of a function (cache=True) that was written before its source file changed is noticed by its stamp
# (time and size of the file), and compiled anew.
# Behavior: all signatures in the cache's index are unpickled before the stamp is compared, so where one names a class
# that has another name now (a NamedTuple argument), the first call fails with AttributeError until the cache is deleted.
# An upgrade by pip leaves such files behind, since they are not among those it installed.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" numba==0.68.1 numpy==2.4.6
export PYTHONPATH="$folder/packages:$folder"
cat > "$folder/module.py" <<'PYTHON'
from typing import NamedTuple

import numpy as np
from numba import njit


class Table(NamedTuple):
    column: np.ndarray


@njit(cache=True)
def total(table):
    return table.column.sum()
PYTHON
python3 -c "import module, numpy; print('first version', module.total(module.Table(numpy.ones(3))))"
sed -i 's/Table/Sheet/' "$folder/module.py"
found=$(python3 -c "import module, numpy; print(module.total(module.Sheet(numpy.ones(3))))" 2>&1 | tail -1)
python3 -c "import numba; print('numba', numba.__version__)"
echo "second version: $found"
[[ "$found" == "AttributeError: "*"'Table'"* ]]
