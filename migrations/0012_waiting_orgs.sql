-- Organisations that have registered where founders let in, and that no founder has to know: they are not in the register, and what
-- waits too long is forgotten (docs/identity-formats.md, section 5.1). This file is never edited once released: append another one.

create table waiting_orgs (
    org bytea primary key check (length(org) = 32),
    registration bytea not null check (length(registration) <= 65535),
    -- By the database's clock.
    created_ms bigint not null
);
create index waiting_orgs_created on waiting_orgs (created_ms);
