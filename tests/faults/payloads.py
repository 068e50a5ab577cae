"""120 texts that break what puts texts together: SQL, templates, JSON, formats, paths, encodings."""

from __future__ import annotations

HARM = "DROP TABLE canary"
CLOSED = [  # what may end a literal, a name, a call, a comment around the text
    "'", "''", '"', "`", "\\'", "')", "'))", '")', "$$", "$embsql$", "*/", "-- \n", "]", "}", "'}", ";", "\n;", "' ",
    "1", "m@1",
]  # fmt: skip
SQL = [f"{end}; {HARM}; --" for end in CLOSED]
SQL += [f"{end} UNION SELECT {HARM!r} --" for end in CLOSED[:8]]
SQL += [
    HARM, f"SELECT 1; {HARM}", f"(SELECT 1); {HARM}", f"WITH x AS (SELECT 1) {HARM}", f"EXPLAIN ANALYZE {HARM}",
    "DELETE FROM canary", "INSERT INTO canary VALUES (2)", "UPDATE canary SET n = 2", "TRUNCATE canary",
    "WITH gone AS (DELETE FROM canary RETURNING *) SELECT * FROM gone", "COPY canary TO 'stolen.csv'",
    "COPY canary FROM PROGRAM 'touch stolen.csv'", "ATTACH 'stolen.db' AS stolen", "EXPORT DATABASE 'stolen'",
    "CREATE TABLE stolen AS SELECT 1", "CREATE ROLE stolen SUPERUSER", "SET ROLE stolen", "BEGIN; ROLLBACK", "COMMIT",
    "PRAGMA database_list", "CALL embsql.drop_model('m')", "RESET ALL", "VACUUM", "INSTALL httpfs",
    "DO $$ BEGIN EXECUTE 'DROP TABLE canary'; END $$", "SELECT pg_sleep(0) INTO stolen", "VALUES (1)", "TABLE canary",
]  # fmt: skip
TEMPLATES = [
    "{{ 7 * 7 }}", "{% raw %}", "{# x #}", "{{ ''.__class__.__mro__ }}", "{%- for x in y -%}", "{{", "}}", "{%",
    "{model_name}", "{0}", "{}", "{!r}", "{name.__class__}", "%s", "%(name)s", "%d%n", "%", "$1", "$model", ":model",
    "${HOME}", "$(touch stolen)", "`touch stolen`", "#{x}", "<script>alert(1)</script>", "&amp;", "=1+1",
]  # fmt: skip
JSON = ['{"a": 1}', "[1, 2]", '"', '{"dim": 2, "dim": 3}', "null", "1e999", "[[[[[[", '\\u0000', '{"k": {"$ref": 1}}']  # fmt: skip
BYTES = [
    "\0", "a\0b", "\x01\x02\x1b[31m", "\t", "\r\n", "\u202etxt", "\ufeffx", "é\u0301", "💥", "ß" * 40, "\u2028", "\x7f",
    " ", "  x  ", "x" * 64, "x" * 5000, "y" * 1_000_000,
]  # fmt: skip
PATHS = ["../../x", "/etc/passwd", "file:///etc/passwd", "a/b", "C:\\x", "~", "*", "nowhere.csv", "x://y", ".", "--help"]  # fmt: skip

PAYLOADS = [*SQL, *TEMPLATES, *JSON, *BYTES, *PATHS][:120]
