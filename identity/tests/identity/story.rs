//! A federation with a history.

use dawn_identity::{
    Change, CredentialChain, Digest, OrgEvent, Organisation, Register, RegisterError, SecretKey,
    Signed, Validity,
};

use crate::fixture::{Fixture, NOW, YEAR};

/// A federation whose first founder has registered, and its history.
pub struct Story {
    pub fixture: Fixture,
    pub register: Register,
}

impl Story {
    pub fn new() -> Self {
        Self::of(Fixture::new())
    }

    pub fn of(fixture: Fixture) -> Self {
        let mut register = Register::new(&fixture.federation);
        let registration = fixture.founders[0]
            .register(&fixture.federation.digest(), NOW)
            .unwrap();
        register.push(registration.bytes()).unwrap();
        Self { fixture, register }
    }

    pub fn digest(&self) -> Digest {
        self.fixture.federation.digest()
    }

    pub fn last(&self, org: &Organisation) -> (u64, Digest) {
        let member = self.register.members().get(&org.id()).unwrap();
        (member.sequence(), member.head().unwrap())
    }

    pub fn event(&self, org: &Organisation, change: Change) -> Signed<OrgEvent> {
        org.event(&self.digest(), self.last(org), change, NOW)
            .unwrap()
    }

    pub fn push(&mut self, event: &Signed<OrgEvent>) -> Result<(), RegisterError> {
        self.register.push(event.bytes()).map(|_| ())
    }

    pub fn tell(&mut self, org: &Organisation, change: Change) -> Result<(), RegisterError> {
        let event = self.event(org, change);
        self.push(&event)
    }
}

pub fn chain(org: &Organisation, seed: u8) -> CredentialChain {
    let device = SecretKey::from_seed(&[seed; 32]).public();
    let validity = Validity::starting(NOW - 5, YEAR / 2);
    org.issue_device(&device, "watch 7", validity).unwrap()
}

/// The same organisation with another root key, and its issuer certified anew.
pub fn with_root(org: &Organisation, root: SecretKey) -> Organisation {
    let issuer = SecretKey::from_seed(&org.issuer().to_seed());
    let validity = Validity::starting(NOW, YEAR);
    let certificate =
        Organisation::certify(&org.id(), &root, &issuer.public(), validity, 2).unwrap();
    Organisation::from_parts(org.name(), root, issuer, certificate).unwrap()
}

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}
