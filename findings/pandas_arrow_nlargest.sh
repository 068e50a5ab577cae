#!/bin/bash
# Guess: nlargest(2) of a column with Arrow's type gives what sorting it and taking two gives; NaN,
# which max() passes over, is at most left out, as in a column of numpy's type.
# Behavior: with a NaN among the numbers rows are missing, and nothing says so. Of [1, NaN, 3] there
# is none, of [1, 2, NaN, 3, 5] nsmallest(2) gives one, and of [1, NaN, 3, NULL] NULL alone comes.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import pandas as pd
import pyarrow as pa

nan = float("nan")


def two(values):
    """The largest two and the smallest two, and the largest by sorting and in numpy's type."""
    column = pd.Series(pa.array(values), dtype=pd.ArrowDtype(pa.float64()))
    sorted_ = column.sort_values(ascending=False).head(2).tolist()
    plain = pd.Series(values, dtype="float64").nlargest(2).tolist()
    return column.nlargest(2).tolist(), column.nsmallest(2).tolist(), sorted_, plain


first, second = two([1.0, nan, 3.0]), two([1.0, 2.0, nan, 3.0, 5.0])
third = [value is pd.NA for value in two([1.0, nan, 3.0, None])[0]]
print("pandas", pd.__version__, "pyarrow", pa.__version__, first, second, third)
assert first == ([], [], [3.0, 1.0], [3.0, 1.0]), "it is otherwise now"
assert second == ([5.0, 3.0], [1.0], [5.0, 3.0], [5.0, 3.0]), "it is otherwise now"
assert third == [True], "it is otherwise now"
PYTHON
