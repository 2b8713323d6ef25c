-- Changes of the server's keys (docs/identity-formats.md, section 6.3) are few entries of the register, and counted before
-- everything that the aggregator says is stored.
create index register_server_keys on register (kind) where kind = 'federation-event';
