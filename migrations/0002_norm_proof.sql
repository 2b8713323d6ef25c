-- The norm proof (docs/protocol.md, section 4.6): a phase in which stewards make the challenge, their answers
-- to it, and the public scalars. This file is never edited once released: append another one.

alter table rounds drop constraint rounds_phase_check;
alter table rounds add constraint rounds_phase_check check (phase in
    ('keying', 'endorsing', 'collecting', 'challenging', 'reporting', 'opening', 'done', 'aborted'));
alter table rounds add column challenging_ms bigint;
-- Digest of the public scalars once they are computed; they are an object.
alter table rounds add column scalars bytea check (length(scalars) = 32);

-- The key of a steward's parts of the beacon, as enrolled. Null for stewards of an older version, whose
-- enrolments are not read any more.
alter table stewards add column vrf_key bytea check (length(vrf_key) = 32);

-- The answers that belong to a steward's report: an object named by their digest.
create table answers (
    task bytea not null,
    number integer not null,
    steward bytea not null,
    digest bytea not null check (length(digest) = 32),
    bytes bigint not null check (bytes >= 0),
    primary key (task, number, steward),
    foreign key (task, number) references rounds (task, number)
);
create index answers_digest on answers (digest);
