"""From the caller's rows to coded interactions."""
