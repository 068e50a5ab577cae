-- Nothing is for everyone: `embsql install --roles`, or you, grant what is whose.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA embsql, embsql_internal FROM PUBLIC;
