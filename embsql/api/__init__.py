"""The Python face, and the same commands as SQL."""
