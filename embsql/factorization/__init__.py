"""Least squares: one factor solved while the other is fixed. als, half_als and fusion stand on it."""
