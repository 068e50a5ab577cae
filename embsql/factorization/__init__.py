"""Least squares: one side solved while the other is fixed. als, half_als and fusion use it."""
