-- The log as tiles, and its checkpoints with the cosignatures of stewards (docs/protocol.md, section 4.6.1). This file is never edited
-- once released: append another one.

-- Roots of the complete subtrees of 2^8, 2^16, ... leaves: with the leaves themselves, every hash of every tile.
create table log_nodes (
    height smallint not null check (height > 0 and height % 8 = 0),
    index bigint not null check (index >= 0),
    hash bytea not null check (length(hash) = 32),
    primary key (height, index)
);

-- Of a log that there is already.
do $$
declare
    h integer := 0;
begin
    create temporary table node on commit drop as select 0 as height, index, leaf as hash from log;
    loop
        insert into node
            select h + 1, index / 2, sha256('\x01'::bytea || string_agg(hash, ''::bytea order by index))
            from node where height = h group by index / 2 having count(*) = 2;
        exit when not found;
        h := h + 1;
    end loop;
    insert into log_nodes (height, index, hash)
        select height, index, hash from node where height > 0 and height % 8 = 0;
end $$;

-- Sizes of the log that stewards are asked to cosign.
create table log_checkpoints (
    size bigint primary key check (size > 0),
    root bytea not null check (length(root) = 32),
    created_ms bigint not null
);

create table log_cosignatures (
    size bigint not null references log_checkpoints (size),
    steward bytea not null references stewards (steward),
    -- Time and signature, as they are in a signature line.
    signature bytea not null check (length(signature) = 72),
    primary key (size, steward)
);
