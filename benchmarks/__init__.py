"""How good and how fast: every figure beside a peer's, measured in one run, one command each."""
