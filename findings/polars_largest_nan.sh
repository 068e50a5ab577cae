#!/bin/bash
# Guess: in polars the largest number is one thing: what max() gives is the first of top_k(1), and
# arg_max() is its place.
# Behavior: max() and arg_max() pass over NaN, top_k(1), and a DataFrame's top_k by a column, give
# it. So the best row by a score with a NaN in it is another one by which of them is asked; with a
# NULL as well, sort(descending=True).first() is a third.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" polars==2.1.0
PYTHONPATH="$folder" python3 - <<'PYTHON'
import polars as pl

rows = pl.DataFrame({"id": ["a", "b", "c", "d"], "score": [1.0, float("nan"), 3.0, None]})
score = rows["score"]
found = {
    "max": rows.filter(score == score.max())["id"].to_list(),
    "arg_max": [rows["id"][score.arg_max()]],
    "top_k": rows.top_k(1, by="score")["id"].to_list(),
    "sort": rows.sort("score", descending=True).head(1)["id"].to_list(),
}
print("polars", pl.__version__, found)
wanted = {"max": ["c"], "arg_max": ["c"], "top_k": ["b"], "sort": ["d"]}
assert found == wanted, "it is otherwise now"
PYTHON
