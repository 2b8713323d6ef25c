//! Files of many devices.

use dawn_identity::{
    BatchError, BatchReader, BatchWriter, EnrolledDevice, EnrolmentPlan, EnvelopeError,
    Organisation, SecretKey, Validity, attestation_digest, device_vrf,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
enum Stopped {
    Credential,
    Full,
}

impl From<EnvelopeError> for Stopped {
    fn from(_: EnvelopeError) -> Self {
        Self::Credential
    }
}

const NOW: u64 = 1_800_000_000;

fn organisation() -> Organisation {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    Organisation::generate("Alpha", Validity::starting(NOW, 1_000_000), &mut rng).unwrap()
}

fn plan(count: u64) -> EnrolmentPlan {
    EnrolmentPlan {
        count,
        label: "sensor".to_owned(),
        validity: Validity::starting(NOW, 1000),
        attestation: Some(attestation_digest(b"made by us")),
    }
}

/// A generator of its own for every core.
fn seeds() -> impl Fn() -> ChaCha20Rng + Sync {
    let next = AtomicU64::new(10);
    move || ChaCha20Rng::seed_from_u64(next.fetch_add(1, Ordering::Relaxed))
}

fn file(count: u64) -> Vec<u8> {
    let org = organisation();
    let mut writer = BatchWriter::new(Vec::new(), org.certificate(), b"made by us").unwrap();
    org.online()
        .enrol_many(&plan(count), seeds(), |device| {
            writer.push(&device).map_err(|_| Stopped::Full)
        })
        .unwrap();
    writer.finish().unwrap()
}

/// Every device of a file; the error that ended it.
fn read(bytes: &[u8]) -> Result<Vec<(SecretKey, dawn_identity::CredentialChain)>, BatchError> {
    let mut reader = BatchReader::new(bytes)?;
    let mut devices = Vec::new();
    while let Some(device) = reader.next_device()? {
        devices.push(device);
    }
    assert!(reader.next_device()?.is_none(), "it stays at its end");
    Ok(devices)
}

#[test]
fn devices_come_in_order_and_every_one_verifies() {
    let org = organisation();
    for count in [0, 1, 63, 64, 65, 1000] {
        let devices = read(&file(count)).unwrap();
        assert_eq!(devices.len() as u64, count);
        let mut ids = std::collections::BTreeSet::new();
        for (index, (key, chain)) in devices.iter().enumerate() {
            let device = chain.verify(&org.root().public(), NOW).unwrap();
            assert_eq!(device.label(), format!("sensor-{index}"));
            assert_eq!(device.key(), &key.public());
            assert_eq!(device.vrf(), Some(device_vrf(key).public()));
            assert_eq!((device.issued(), device.expires()), (NOW, NOW + 1000));
            let attestation = chain.credential.peek().attestation;
            assert_eq!(attestation, Some(attestation_digest(b"made by us")));
            assert!(ids.insert(device.device()), "no key is drawn twice");
        }
    }
}

#[test]
fn a_device_is_found_without_reading_those_before_it() {
    let bytes = file(200);
    let all = read(&bytes).unwrap();
    for index in [0, 1, 150, 199] {
        let mut reader = BatchReader::new(&bytes[..]).unwrap();
        assert_eq!(reader.attestation(), b"made by us");
        assert_eq!(reader.skip(index).unwrap(), index);
        let (_, chain) = reader.next_device().unwrap().unwrap();
        assert_eq!(chain, all[index as usize].1);
    }
    let mut reader = BatchReader::new(&bytes[..]).unwrap();
    assert_eq!(reader.skip(1000).unwrap(), 200);
    assert!(reader.next_device().unwrap().is_none());
}

#[test]
fn what_is_cut_off_changed_or_too_long_is_refused() {
    let bytes = file(3);
    assert!(read(&bytes).is_ok());
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "cut at {end}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(read(&longer).is_err());
    // A secret that is not its credential's: the last byte of the last one.
    let mut changed = bytes.clone();
    let place = bytes.len() - 13;
    changed[place] ^= 1;
    assert!(matches!(read(&changed), Err(BatchError::Malformed(_))));
    // Lengths are refused before they are believed.
    for place in [4, 4 + 4 + organisation().certificate().bytes().len()] {
        let mut changed = bytes.clone();
        changed[place..place + 4].fill(0xff);
        assert!(matches!(read(&changed), Err(BatchError::Malformed(_))));
    }
    let long = vec![0; 64 * 1024 + 1];
    assert!(BatchWriter::new(Vec::new(), organisation().certificate(), &long).is_err());
}

#[test]
fn enrolling_stops_at_the_first_that_fails() {
    let org = organisation();
    let mut taken = 0;
    let stopped = org
        .online()
        .enrol_many(&plan(u64::MAX), seeds(), |_: EnrolledDevice| {
            taken += 1;
            if taken == 100 {
                Err(Stopped::Full)
            } else {
                Ok(())
            }
        });
    assert!(matches!(stopped, Err(Stopped::Full)));
    assert_eq!(taken, 100);
    let label = EnrolmentPlan {
        label: "x".repeat(63),
        ..plan(100)
    };
    let mut taken = 0;
    let stopped = org.online().enrol_many(&label, seeds(), |_| {
        taken += 1;
        Ok(())
    });
    assert!(matches!(stopped, Err(Stopped::Credential)));
    assert_eq!(taken, 0, "the first label is too long already");
}
