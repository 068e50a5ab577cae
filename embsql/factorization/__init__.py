"""Least squares: one factor solved while the other is fixed. als, dual and fusion stand on it."""
