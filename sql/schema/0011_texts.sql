-- Vectors of texts, so that no text is read twice by the same encoder. The texts themselves are not kept.

CREATE TABLE embsql.text_vectors (
    content VARCHAR PRIMARY KEY,     -- SHA-256 of the encoder's files and the text
    embedding FLOAT[] NOT NULL
);
