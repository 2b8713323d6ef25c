-- The database's clock, unix milliseconds: what all replicas agree on. It goes on within a transaction.
create function database_ms() returns bigint language sql volatile as
    'select floor(extract(epoch from clock_timestamp()) * 1000)::bigint';
