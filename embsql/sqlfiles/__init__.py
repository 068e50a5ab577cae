"""Reads sql/: questions, statements, preludes, and the shells around them."""
