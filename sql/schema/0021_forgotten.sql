-- Who was forgotten while a run was made, and in which finished runs that is still to be done. The id itself does not
-- stand here. A row goes when its run has ended without the person, or has been cleared of them.
CREATE TABLE embsql.forgotten (
    run_id BIGINT NOT NULL,
    salt VARCHAR NOT NULL,
    person VARCHAR NOT NULL,         -- SHA-256 of the salt and the id
    PRIMARY KEY (run_id, person)
);
