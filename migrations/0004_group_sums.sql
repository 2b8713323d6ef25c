-- Sums over groups (docs/protocol.md, section 4.7): what goes beside a steward's opening of a round whose task asks for
-- groups, 8192 bytes a group. This file is never edited once released: append another one.

create table group_sums (
    task bytea not null,
    number integer not null,
    steward bytea not null,
    sums bytea not null check (length(sums) between 1 and 524288),
    primary key (task, number, steward),
    foreign key (task, number) references rounds (task, number)
);
