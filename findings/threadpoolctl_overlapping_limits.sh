#!/bin/bash
# Guess: threadpool_limits(1, "blas") has an effect in whichever thread it is entered, and once all who entered one have
# left, BLAS has as many threads as before.
# Behavior: numpy's OpenBLAS takes limits from one thread at a time, the first that set one. A limit entered in another
# thread does nothing, without a word; and where two overlap, the later one restores what it found when it came, so the
# process keeps a single BLAS thread after both have left.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" threadpoolctl==3.8.0 numpy==2.4.6
export PYTHONPATH="$folder" OPENBLAS_NUM_THREADS=2
cat > "$folder/overlap.py" <<'PYTHON'
from concurrent.futures import ThreadPoolExecutor

import numpy
import threadpoolctl
from threadpoolctl import threadpool_info, threadpool_limits


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


print("threadpoolctl", threadpoolctl.__version__, "numpy", numpy.__version__)
with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
    limits = threadpool_limits(2, "blas")  # the main thread's, which goes on
    print("limited to 1 in another thread:", second.submit(
        lambda: threadpool_limits(1, "blas") and blas_threads()).result())
    limits.__enter__()
    limits.__exit__(None, None, None)
    one = first.submit(threadpool_limits, 1, "blas").result()
    first.submit(one.__enter__).result()
    two = second.submit(threadpool_limits, 1, "blas").result()
    second.submit(two.__enter__).result()
    first.submit(one.__exit__, None, None, None).result()
    second.submit(two.__exit__, None, None, None).result()
    print("after both have left:", blas_threads())
PYTHON
found=$(python3 "$folder/overlap.py")
echo "$found"
grep -qF "limited to 1 in another thread: [2]" <<< "$found"
grep -qF "after both have left: [1]" <<< "$found"
