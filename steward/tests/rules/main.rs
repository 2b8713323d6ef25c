//! A real steward against an aggregator that does as the test says: honest rounds, lies, restarts, restores.

mod budget;
mod founding;
mod garbage;
mod lies;
mod once;
mod restored;
mod rounds;
mod whole;
mod world;
