//! Places for large bodies: so many at a time, and of one party (a device or steward in one round, a key that signs
//! requests) so few that one with slow uploads holds up nobody but itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::Limits;
use crate::problem::Problem;

/// The places of one replica for parties that are told apart by `K`.
#[derive(Debug)]
pub struct Places<K> {
    all: Semaphore,
    each: usize,
    patience: Duration,
    held: Mutex<HashMap<K, usize>>,
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// As many as the operator chose.
    pub fn new(limits: &Limits) -> Self {
        Self {
            all: Semaphore::new(limits.uploads),
            each: limits.uploads_per_device,
            patience: Duration::from_millis(limits.idle_timeout_ms),
            held: Mutex::default(),
        }
    }

    /// Takes a place for a party that may upload, waiting a while for one. It is free again when
    /// it is dropped.
    ///
    /// # Errors
    /// 429 when the party has its places already, also those that it waits for; 503 when there is none.
    pub async fn take(&self, party: K) -> Result<Place<'_, K>, Problem> {
        let own = self.count(party)?;
        let permit = tokio::time::timeout(self.patience, self.all.acquire())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| Problem::unavailable("too many uploads at a time; try again"))?;
        Ok(Place {
            _own: own,
            _permit: permit,
        })
    }

    fn count(&self, key: K) -> Result<Own<'_, K>, Problem> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.get(&key).copied().unwrap_or_default();
        if count >= self.each {
            return Err(Problem::quota(
                "this party is uploading already; wait for that to end",
            ));
        }
        held.insert(key.clone(), count + 1);
        Ok(Own { places: self, key })
    }
}

/// A place that is taken.
#[derive(Debug)]
pub struct Place<'a, K: Eq + Hash> {
    _own: Own<'a, K>,
    _permit: SemaphorePermit<'a>,
}

/// One of a party's own places.
#[derive(Debug)]
struct Own<'a, K: Eq + Hash> {
    places: &'a Places<K>,
    key: K,
}

impl<K: Eq + Hash> Drop for Own<'_, K> {
    fn drop(&mut self) {
        let held = &self.places.held;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_crypto::digest::Digest;
    use dawn_identity::TaskId;
    use dawn_protocol::RoundId;

    fn places(uploads: usize) -> Places<(RoundId, Digest)> {
        Places::new(&Limits {
            uploads,
            idle_timeout_ms: 50,
            ..Limits::default()
        })
    }

    fn round(number: u32) -> RoundId {
        RoundId::new(TaskId(Digest([1; 32])), number)
    }

    fn device(byte: u8) -> Digest {
        Digest([byte; 32])
    }

    #[tokio::test]
    async fn a_device_has_two_places_in_a_round_and_gets_them_back() {
        let places = places(64);
        let first = places.take((round(1), device(1))).await.expect("free");
        let _second = places.take((round(1), device(1))).await.expect("free");
        let third = places.take((round(1), device(1))).await;
        assert_eq!(third.expect_err("two are taken").status, 429);
        let _other = places
            .take((round(1), device(2)))
            .await
            .expect("another device");
        let _later = places
            .take((round(2), device(1)))
            .await
            .expect("another round");
        drop(first);
        let _again = places
            .take((round(1), device(1)))
            .await
            .expect("free again");
        assert_eq!(places.all.available_permits(), 60);
    }

    #[tokio::test]
    async fn whoever_waits_in_vain_leaves_nothing_behind() {
        let places = places(1);
        let first = places.take((round(1), device(1))).await.expect("free");
        for _ in 0..4 {
            let full = places.take((round(1), device(2))).await;
            assert_eq!(full.expect_err("none is free").status, 503);
        }
        drop(first);
        drop(places.take((round(1), device(2))).await.expect("free"));
        assert!(places.held.lock().expect("nobody panicked").is_empty());
    }
}
