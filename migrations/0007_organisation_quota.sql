-- The quota of an organisation in a round counts its submissions before each one is taken.
create index submissions_org on submissions (task, number, org);
