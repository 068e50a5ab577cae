"""What must hold when processes are killed, servers crash, disks are full and callers hostile.

`python -m tests.faults PART --seed N --minutes M` runs one part for so long and prints one line of
JSON; docs/reliability.md has the figures. Tests of the suite run a few tries of each.
"""
