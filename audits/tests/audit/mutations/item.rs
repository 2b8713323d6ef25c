//! Canonical CBOR as a tree, whatever it says, and every change of one of its leaves. Nothing here knows the statements: a
//! field that somebody adds is walked over like all others.

use std::collections::BTreeMap;

use dawn_identity::{Envelope, KeyId, SecretKey};
use dawn_protocol::MAX_STATEMENT_BYTES;

/// Who can sign under a key.
pub type Keys<'a> = BTreeMap<KeyId, &'a SecretKey>;

/// An item of CBOR, as far as statements use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Number(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Item>),
    Simple(u8),
    /// A byte string that is a signed statement.
    Signed(Box<Sealed>),
}

/// A signed statement, inside another or alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub kind: String,
    pub signer: KeyId,
    pub body: Item,
    protected: Vec<u8>,
    signature: Vec<u8>,
    /// The signer signs what is said now; otherwise the old signature stays.
    again: bool,
}

/// Who signs what was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signing {
    /// Nobody: the signature is that of what was said before.
    Nobody,
    /// Whoever put the changed statement into his own; its own signer does not.
    Outer,
    /// Everybody who had signed.
    All,
}

/// One change.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Numbers of fields from the outside in, `@kind` where a statement begins, `[]` for a list itself.
    pub path: Vec<String>,
    pub what: &'static str,
    pub item: Item,
    pub signing: Signing,
    /// Who signed the innermost statement that was changed.
    pub signer: Option<KeyId>,
}

impl Item {
    /// Reads one item that is all of the bytes; an envelope is a statement.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if let Some(sealed) = Sealed::parse(bytes) {
            return Some(Self::Signed(Box::new(sealed)));
        }
        match Self::parse_one(bytes)? {
            (item, []) => Some(item),
            _ => None,
        }
    }

    fn parse_one(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&first, rest) = bytes.split_first()?;
        let (major, info) = (first >> 5, first & 31);
        let width = match info {
            0..=23 => 0,
            24..=27 => 1 << (info - 24),
            _ => return None,
        };
        let (number, mut rest) = rest.split_at_checked(width)?;
        let value = match width {
            0 => u64::from(info),
            _ => number.iter().fold(0, |v, byte| v << 8 | u64::from(*byte)),
        };
        let item = match major {
            0 => Self::Number(value),
            1 => Self::Negative(value),
            2 | 3 => {
                let (content, after) = rest.split_at_checked(usize::try_from(value).ok()?)?;
                rest = after;
                match Sealed::parse(content) {
                    _ if major == 3 => Self::Text(content.to_vec()),
                    Some(sealed) => Self::Signed(Box::new(sealed)),
                    None => Self::Bytes(content.to_vec()),
                }
            }
            4 => {
                let mut items = Vec::new();
                for _ in 0..value {
                    let (item, after) = Self::parse_one(rest)?;
                    items.push(item);
                    rest = after;
                }
                Self::Array(items)
            }
            7 => Self::Simple(info),
            _ => return None,
        };
        Some((item, rest))
    }

    /// The bytes; `keys` are those of who signs again.
    pub fn encode(&self, keys: &Keys<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Signed(sealed) => out = sealed.encode(keys),
            other => other.write(keys, &mut out),
        }
        out
    }

    fn write(&self, keys: &Keys<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Number(value) => head(0, *value, out),
            Self::Negative(value) => head(1, *value, out),
            Self::Bytes(bytes) => string(2, bytes, out),
            Self::Text(bytes) => string(3, bytes, out),
            Self::Signed(sealed) => string(2, &sealed.encode(keys), out),
            Self::Simple(value) => out.push(7 << 5 | value),
            Self::Array(items) => {
                head(4, items.len() as u64, out);
                items.iter().for_each(|item| item.write(keys, out));
            }
        }
    }

    /// What it is made of, whatever it says: statements of one shape have the same fields.
    pub fn shape(&self) -> String {
        match self {
            Self::Number(_) | Self::Negative(_) => "n".to_owned(),
            Self::Bytes(_) => "b".to_owned(),
            Self::Text(_) => "t".to_owned(),
            Self::Simple(value) => format!("s{value}"),
            Self::Signed(sealed) => format!("{}({})", sealed.kind, sealed.body.shape()),
            Self::Array(items) => {
                let mut shapes: Vec<_> = items.iter().map(Self::shape).collect();
                shapes.dedup();
                format!("[{}]", shapes.join(""))
            }
        }
    }

    /// Every change of every leaf and of every list, one at a time.
    pub fn mutants(&self, strangers: &[KeyId]) -> Vec<Mutant> {
        let leaf = |what, item| Mutant {
            path: vec![],
            what,
            item,
            signing: Signing::All,
            signer: None,
        };
        match self {
            Self::Number(n) => vec![
                leaf("more", Self::Number(n.saturating_add(1))),
                leaf(
                    "less",
                    n.checked_sub(1).map_or(Self::Number(7), Self::Number),
                ),
            ],
            Self::Negative(n) => vec![
                leaf(
                    "more",
                    n.checked_sub(1).map_or(Self::Number(0), Self::Negative),
                ),
                leaf("less", Self::Negative(n + 1)),
            ],
            Self::Simple(_) => vec![
                leaf("a number", Self::Number(1)),
                leaf("a digest", Self::Bytes(vec![7; 32])),
                leaf("a list", Self::Array(vec![])),
            ],
            Self::Bytes(bytes) => changed(bytes)
                .map(|(w, b)| leaf(w, Self::Bytes(b)))
                .collect(),
            Self::Text(bytes) => changed(bytes)
                .map(|(w, b)| leaf(w, Self::Text(b)))
                .collect(),
            Self::Array(items) => {
                let mut all = Vec::new();
                for (place, item) in items.iter().enumerate() {
                    for mut mutant in item.mutants(strangers) {
                        let mut whole = items.clone();
                        whole[place] = mutant.item;
                        mutant.item = Self::Array(whole);
                        mutant.path.insert(0, place.to_string());
                        all.push(mutant);
                    }
                }
                let lists = lists(items).into_iter().map(|(what, items)| Mutant {
                    path: vec!["[]".to_owned()],
                    ..leaf(what, Self::Array(items))
                });
                all.extend(lists);
                all
            }
            Self::Signed(sealed) => sealed.mutants(strangers),
        }
    }
}

impl Sealed {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let envelope = Envelope::parse(bytes, MAX_STATEMENT_BYTES).ok()?;
        // Tag and array head, then a short byte string.
        let protected = match bytes.get(2)? {
            short @ 0x40..=0x57 => bytes.get(3..3 + usize::from(short - 0x40))?,
            0x58 => bytes.get(4..4 + usize::from(*bytes.get(3)?))?,
            _ => return None,
        };
        Some(Self {
            kind: envelope.kind().to_owned(),
            signer: envelope.signer(),
            body: Item::parse_one(envelope.payload())?.0,
            protected: protected.to_vec(),
            signature: bytes[bytes.len() - 64..].to_vec(),
            again: false,
        })
    }

    fn encode(&self, keys: &Keys<'_>) -> Vec<u8> {
        let mut body = Vec::new();
        self.body.write(keys, &mut body);
        if self.again {
            let sealed = Envelope::seal(&self.kind, body, keys[&self.signer]).unwrap();
            return sealed.bytes().to_vec();
        }
        let mut out = vec![0xd2, 0x84];
        string(2, &self.protected, &mut out);
        out.push(0xa0);
        string(2, &body, &mut out);
        string(2, &self.signature, &mut out);
        out
    }

    fn mutants(&self, strangers: &[KeyId]) -> Vec<Mutant> {
        let mut all = Vec::new();
        for mutant in self.body.mutants(strangers) {
            let modes: &[(bool, Signing)] = match (mutant.signer, mutant.signing) {
                (None, _) => &[(false, Signing::Nobody), (true, Signing::All)],
                (Some(_), Signing::Nobody) => &[(false, Signing::Nobody), (true, Signing::Outer)],
                (Some(_), signing) => match signing {
                    Signing::Outer => &[(true, Signing::Outer)],
                    _ => &[(true, Signing::All)],
                },
            };
            for (again, signing) in modes {
                let mut mutant = mutant.clone();
                mutant.signing = *signing;
                mutant.signer.get_or_insert(self.signer);
                let body = mutant.item;
                let sealed = Self {
                    body,
                    again: *again,
                    ..self.clone()
                };
                mutant.item = Item::Signed(Box::new(sealed));
                mutant.path.insert(0, format!("@{}", self.kind));
                all.push(mutant);
            }
        }
        let path = |what: &str| vec![format!("@{}", self.kind), what.to_owned()];
        for at in [0, 63] {
            let mut sealed = self.clone();
            sealed.signature[at] ^= 1;
            all.push(self.forged(path("signature"), "bits", sealed));
        }
        for stranger in strangers.iter().filter(|key| **key != self.signer) {
            let sealed = Self {
                signer: *stranger,
                again: true,
                ..self.clone()
            };
            all.push(self.forged(path("signer"), "another", sealed));
        }
        all
    }

    fn forged(&self, path: Vec<String>, what: &'static str, sealed: Self) -> Mutant {
        Mutant {
            path,
            what,
            item: Item::Signed(Box::new(sealed)),
            signing: Signing::Nobody,
            signer: Some(self.signer),
        }
    }
}

/// The first, the last and another bit, and one byte less.
fn changed(bytes: &[u8]) -> impl Iterator<Item = (&'static str, Vec<u8>)> + use<> {
    let bytes = bytes.to_vec();
    let len = bytes.len();
    let somewhere = (len > 2).then(|| 1 + (31 * len + 7) % (len - 2));
    let places = [Some(0), somewhere, len.checked_sub(1)];
    let mut places: Vec<usize> = places
        .into_iter()
        .flatten()
        .filter(|at| *at < len)
        .collect();
    places.dedup();
    let shorter = bytes
        .split_last()
        .map(|(_, rest)| ("shorter", rest.to_vec()));
    let longer = [&bytes[..], b"a"].concat();
    places
        .into_iter()
        .map(move |at| {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            ("bits", changed)
        })
        .chain(shorter)
        .chain([("longer", longer)])
}

/// A list with an item less, one twice, two exchanged; an empty one with an item.
fn lists(items: &[Item]) -> Vec<(&'static str, Vec<Item>)> {
    let mut all = Vec::new();
    match items.split_last() {
        Some((last, rest)) => {
            all.push(("dropped", rest.to_vec()));
            all.push(("doubled", [items, std::slice::from_ref(last)].concat()));
        }
        None => {
            all.push(("filled", vec![Item::Number(1)]));
            all.push(("filled", vec![Item::Bytes(vec![7; 32])]));
        }
    }
    if let Some(at) = items.windows(2).position(|pair| pair[0] != pair[1]) {
        let mut swapped = items.to_vec();
        swapped.swap(at, at + 1);
        all.push(("swapped", swapped));
    }
    all
}

fn head(major: u8, value: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    match value {
        0..=23 => out.push(major | value as u8),
        24..=0xff => out.extend([major | 24, value as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend((value as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend((value as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend(value.to_be_bytes());
        }
    }
}

fn string(major: u8, bytes: &[u8], out: &mut Vec<u8>) {
    head(major, bytes.len() as u64, out);
    out.extend(bytes);
}
