"""Makes `time.perf_counter` tell CPU seconds: of this process and of all that it has started.

Python runs this file at its start where the folder is on PYTHONPATH, so any commit's benchmarks
time CPU with it. Servers that leave the process that started them are counted too.
"""

from __future__ import annotations

import time

from _family import PROC, Family, adopt

if PROC.exists():
    adopt()
    time.perf_counter = Family().cpu
else:
    time.perf_counter = time.process_time
