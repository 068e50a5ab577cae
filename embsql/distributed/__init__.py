"""Training where the rows lie: Spark codes, cuts and solves; only counts and runs come here."""
