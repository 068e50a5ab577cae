-- Who was forgotten while a run was made, and in which finished runs that is still to be done. The id itself does not
-- stand here. A row goes when its run has ended without the person, or has been cleared of them.
CREATE TABLE embsql.forgotten (
    run_id bigint NOT NULL,
    salt text NOT NULL,
    person text NOT NULL,            -- SHA-256 of the salt and the id
    PRIMARY KEY (run_id, person)
);

-- Whether somebody was forgotten since a worker began, or was named by what it was asked: what it says may name them.
ALTER TABLE embsql.jobs ADD COLUMN outlived boolean NOT NULL DEFAULT FALSE;
