-- Identifier of the root key that signed an enrolment: enrolments are counted by root key. Null for those of an older
-- version, which are not counted.
alter table stewards add column root bytea check (length(root) = 32);
create index stewards_root on stewards (org, root);
create index stewards_newest on stewards (org, created_ms desc, steward desc);
