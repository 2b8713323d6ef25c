-- The whole shared state of the aggregator except payloads, sealed packages, models and transcripts, which
-- are objects named by rows of this schema. Times are unix milliseconds unless a name says otherwise.
-- Identifiers and digests are 32 bytes. This file is never edited once released: append another one.

-- The founding document that this aggregator serves; at most one.
create table federation (
    only_one boolean primary key default true check (only_one),
    digest bytea not null check (length(digest) = 32),
    document bytea not null,
    created_ms bigint not null
);

-- Registered organisations: all of them are members.
create table orgs (
    org bytea primary key check (length(org) = 32),
    name text not null,
    root_key bytea not null check (length(root_key) = 32),
    founder boolean not null,
    registration bytea not null,
    created_ms bigint not null
);

-- Stewards that an organisation has enrolled. An organisation may enrol another one later; which of them
-- opens rounds is said by the rosters.
create table stewards (
    steward bytea primary key check (length(steward) = 32),
    org bytea not null references orgs (org),
    steward_key bytea not null check (length(steward_key) = 32),
    enrolment bytea not null,
    created_ms bigint not null
);

create table rosters (
    digest bytea primary key check (length(digest) = 32),
    epoch bigint not null unique check (epoch >= 0),
    roster bytea not null,
    created_ms bigint not null
);

-- Who is at which evaluation point of a roster.
create table roster_stewards (
    roster bytea not null references rosters (digest),
    point smallint not null check (point between 1 and 16),
    steward bytea not null references stewards (steward),
    primary key (roster, point)
);
create index roster_stewards_steward on roster_stewards (steward);

create table tasks (
    task bytea primary key check (length(task) = 32),
    name text not null,
    owner bytea not null references orgs (org),
    roster bytea not null references rosters (digest),
    rounds integer not null check (rounds > 0),
    signed_task bytea not null,
    created_ms bigint not null,
    ended_ms bigint
);

-- One row per round that has begun. The phases and what moves them: docs/protocol.md, section 4.
create table rounds (
    task bytea not null references tasks (task),
    number integer not null check (number > 0),
    phase text not null check (phase in
        ('keying', 'endorsing', 'collecting', 'reporting', 'opening', 'done', 'aborted')),
    -- When the phase ends at the latest.
    deadline_ms bigint not null,
    -- The weights that devices train from.
    model bytea not null check (length(model) = 32),
    -- Body digest of the terminal statement of the round before; null in round 1.
    previous bytea,
    session bytea,
    submitted integer not null default 0,
    submitted_bytes bigint not null default 0,
    accepted integer,
    -- How many submissions got each decision, by its code; null before the verdict.
    decided integer[],
    next_model bytea,
    abort_reason text,
    charge_micro_rho bigint,
    keying_ms bigint not null,
    endorsing_ms bigint,
    collecting_ms bigint,
    reporting_ms bigint,
    opening_ms bigint,
    ended_ms bigint,
    primary key (task, number)
);
create index rounds_open on rounds (task) where phase not in ('done', 'aborted');

-- Signed statements of the rounds, at most one of a kind by a steward in a round; those of the aggregator
-- have an empty steward.
create table statements (
    task bytea not null,
    number integer not null,
    kind text not null,
    steward bytea not null,
    envelope bytea not null,
    body_digest bytea not null,
    received_ms bigint not null,
    log_index bigint not null,
    primary key (task, number, kind, steward),
    foreign key (task, number) references rounds (task, number)
);

-- Evidence: what a party signed although something else of the same kind was stored before. The first such
-- envelope proves it; more are not kept.
create table equivocations (
    task bytea not null,
    number integer not null,
    kind text not null,
    party bytea not null,
    envelope bytea not null,
    received_ms bigint not null,
    primary key (task, number, kind, party)
);

-- The log: gapless from 0, append-only.
create table log (
    index bigint primary key check (index >= 0),
    leaf bytea not null check (length(leaf) = 32),
    kind text not null,
    task bytea,
    number integer,
    envelope bytea not null check (length(envelope) <= 65535)
);
create index log_round on log (task, number, index) where task is not null;

-- The head of the log: its row lock serialises the appends.
create table log_head (
    only_one boolean primary key default true check (only_one),
    size bigint not null,
    -- Counts what replicas should notice and what is not logged; see size + revision.
    revision bigint not null default 0,
    -- Roots of the full subtrees, largest first, 32 bytes each.
    frontier bytea not null
);
insert into log_head (size, frontier) values (0, ''::bytea);

create table submissions (
    task bytea not null,
    number integer not null,
    device bytea not null check (length(device) = 32),
    org bytea not null,
    header bytea not null,
    header_digest bytea not null check (length(header_digest) = 32),
    -- The Merkle leaf under the root of the round.
    leaf bytea not null check (length(leaf) = 32),
    payload bytea not null check (length(payload) = 32),
    receipt bytea not null,
    received_ms bigint not null,
    bytes bigint not null,
    -- Place in the root order; known once the round is closed.
    position integer,
    -- Decision of the verdict, as in docs/protocol.md, section 4.6.
    decision smallint,
    primary key (task, number, device),
    foreign key (task, number) references rounds (task, number)
);
create unique index submissions_position on submissions (task, number, position) where position is not null;
create index submissions_payload on submissions (payload);
create index submissions_header on submissions (header_digest);

-- Work for the workers of all replicas. A worker takes a job by writing a token and an expiry.
create table jobs (
    kind text not null,
    task bytea not null,
    number integer not null,
    run_after timestamptz not null default clock_timestamp(),
    lease_token bytea,
    lease_until timestamptz,
    attempts integer not null default 0,
    -- Incremented by whoever wants the job to look again: a wake during a run is not lost.
    wakes bigint not null default 0,
    last_error text,
    primary key (kind, task, number)
);
create index jobs_due on jobs (run_after);

-- The privacy ledger that people look at. The ledgers that protect are those of the stewards.
create table budget (
    task bytea primary key references tasks (task),
    data_source text not null,
    limit_micro_rho bigint,
    spent_micro_rho bigint not null default 0,
    rounds integer not null default 0,
    updated_ms bigint not null
);
