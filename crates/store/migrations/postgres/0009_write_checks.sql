-- One row, written to find out whether the database can be written.
CREATE TABLE write_checks (
    id BIGINT NOT NULL,
    checked_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT write_checks_pkey PRIMARY KEY (id),
    CONSTRAINT write_checks_id_check CHECK (id = 1)
);
INSERT INTO write_checks (id, checked_at) VALUES (1, 'epoch');
