-- Noise that stewards contribute (docs/protocol.md, section 4.8): the steward's evaluation point; null for a submission
-- of a device. This file is never edited once released: append another one.

alter table submissions add column noise_point smallint check (noise_point between 1 and 16);
