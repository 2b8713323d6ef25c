-- Signed requests (docs/identity-formats.md, section 8): the nonces that were taken, until they stop to count anyway. This file is
-- never edited once released: append another one.

create table used_nonces (
    nonce bytea primary key check (length(nonce) = 16),
    -- Thumbprint of the key that signed.
    key bytea not null check (length(key) = 32),
    purpose text not null,
    -- Whether the key was not one of a member: such requests are counted together.
    stranger boolean not null,
    used_ms bigint not null,
    expires_ms bigint not null
);
create index used_nonces_expiry on used_nonces (expires_ms);
create index used_nonces_key on used_nonces (key, used_ms) where not stranger;
create index used_nonces_strangers on used_nonces (used_ms) where stranger;
