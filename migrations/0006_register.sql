-- The register (docs/identity-formats.md, section 5): registrations, approvals and events of organisations in one order. This file is
-- never edited once released: append another one.

create table register (
    position bigint primary key check (position >= 1),
    org bytea not null check (length(org) = 32),
    -- Number of an organisation's event; null for registrations and approvals.
    sequence bigint check (sequence >= 1),
    kind text not null,
    entry bytea not null check (length(entry) <= 65535),
    -- Digest of the register's head after this entry.
    head bytea not null check (length(head) = 32),
    log_index bigint not null unique,
    created_ms bigint not null
);
-- One history an organisation: no number twice.
create unique index register_sequence on register (org, sequence) where sequence is not null;
