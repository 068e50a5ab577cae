"""One page about a run: what it is, how good it is, how it lies, and examples to judge it by.

A section is a file: a function of a `Subject` that gives plain data, made of the statements in
sql/report.sql. `page` writes them all into one file of HTML that needs nothing else.
"""
