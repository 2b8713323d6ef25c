//! Mutations of CBOR that keep it CBOR: a number becomes another number, a list loses or doubles an item, a byte
//! string that is itself CBOR is changed inside, and all lengths around it are right again. Random bytes would
//! hardly ever get past the first length; these get to the rules behind it. Some results are deliberately
//! not canonical.

/// A CBOR item, as far as the protocol's documents use CBOR.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Unsigned(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    /// A byte string that holds an array, a map or a tagged item.
    Nested(Box<Item>),
    Text(Vec<u8>),
    Array(Vec<Item>),
    Map(Vec<(Item, Item)>),
    Tag(u64, Box<Item>),
    Simple(u8),
}

/// Deeper nesting is left to the random mutations.
const MAX_DEPTH: usize = 12;

/// Numbers at which something changes: lengths of encodings, the field's modulus, bounds of the protocol.
const EDGES: [u64; 20] = [
    0,
    1,
    2,
    16,
    17,
    23,
    24,
    32,
    255,
    256,
    1000,
    50_000,
    65_535,
    65_536,
    1 << 24,
    4_293_918_721,
    u32::MAX as u64,
    u32::MAX as u64 + 1,
    i64::MAX as u64,
    u64::MAX,
];

/// A small generator: mutations must depend on the fuzzer's seed only.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as the seed says.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits (splitmix64).
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `count`; 0 when there is none.
    pub fn below(&mut self, count: usize) -> usize {
        (self.roll() % count.max(1) as u64) as usize
    }
}

/// Mutates CBOR; none when the bytes are not one item, or longer than 64 KiB.
pub fn mutate(bytes: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let (mut item, rest) = parse(bytes, 0)?;
    if !rest.is_empty() || bytes.len() > 1 << 16 {
        return None;
    }
    let mut all = Vec::new();
    collect(&item, &mut all);
    let count = all.len();
    let donor = all[dice.below(count)].clone();
    let place = dice.below(count);
    change(
        at(&mut item, &mut { place }).expect("a place that was counted"),
        donor,
        dice,
    );
    // Once in eight, one length or number is written longer than it needs to be.
    let mut odd = (dice.below(8) == 0).then(|| dice.below(count));
    let mut out = Vec::with_capacity(bytes.len() + 64);
    write(&item, &mut odd, &mut out);
    Some(out)
}

fn parse(bytes: &[u8], depth: usize) -> Option<(Item, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (major, info) = (first >> 5, first & 31);
    let width = match info {
        0..=23 => 0,
        24..=27 => 1 << (info - 24),
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(width)?;
    let value = match width {
        0 => u64::from(info),
        _ => number
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)),
    };
    if depth > MAX_DEPTH {
        return None;
    }
    let count = usize::try_from(value).ok()?;
    match major {
        0 => Some((Item::Unsigned(value), rest)),
        1 => Some((Item::Negative(value), rest)),
        2 => {
            let (content, rest) = rest.split_at_checked(count)?;
            let nested = match parse(content, depth + 1) {
                Some((item @ (Item::Array(_) | Item::Map(_) | Item::Tag(..)), [])) => Some(item),
                _ => None,
            };
            let item = match nested {
                Some(item) => Item::Nested(Box::new(item)),
                None => Item::Bytes(content.to_vec()),
            };
            Some((item, rest))
        }
        3 => {
            let (content, rest) = rest.split_at_checked(count)?;
            Some((Item::Text(content.to_vec()), rest))
        }
        4 => {
            let (mut items, mut rest) = (Vec::new(), rest);
            for _ in 0..count {
                let (item, after) = parse(rest, depth + 1)?;
                items.push(item);
                rest = after;
            }
            Some((Item::Array(items), rest))
        }
        5 => {
            let (mut items, mut rest) = (Vec::new(), rest);
            for _ in 0..count {
                let (key, after) = parse(rest, depth + 1)?;
                let (value, after) = parse(after, depth + 1)?;
                items.push((key, value));
                rest = after;
            }
            Some((Item::Map(items), rest))
        }
        6 => {
            let (item, rest) = parse(rest, depth + 1)?;
            Some((Item::Tag(value, Box::new(item)), rest))
        }
        _ => (width <= 1).then(|| (Item::Simple(value as u8), rest)),
    }
}

fn children(item: &Item) -> Vec<&Item> {
    match item {
        Item::Nested(inner) | Item::Tag(_, inner) => vec![inner],
        Item::Array(items) => items.iter().collect(),
        Item::Map(items) => items.iter().flat_map(|(key, value)| [key, value]).collect(),
        _ => Vec::new(),
    }
}

fn collect<'a>(item: &'a Item, all: &mut Vec<&'a Item>) {
    all.push(item);
    children(item)
        .into_iter()
        .for_each(|child| collect(child, all));
}

/// The item at a place, counted as [`collect`] lists them.
fn at<'a>(item: &'a mut Item, place: &mut usize) -> Option<&'a mut Item> {
    if *place == 0 {
        return Some(item);
    }
    *place -= 1;
    match item {
        Item::Nested(inner) | Item::Tag(_, inner) => at(inner, place),
        Item::Array(items) => items.iter_mut().find_map(|child| at(child, place)),
        Item::Map(items) => items
            .iter_mut()
            .find_map(|(key, value)| at(key, place).or_else(|| at(value, place))),
        _ => None,
    }
}

fn change(item: &mut Item, donor: Item, dice: &mut Dice) {
    match dice.below(16) {
        0 => *item = Item::Simple(22), // null
        1 => *item = donor,
        _ => match item {
            Item::Unsigned(value) | Item::Negative(value) => change_number(value, dice),
            Item::Tag(value, _) => change_number(value, dice),
            Item::Simple(value) => *value = [20, 21, 22, 23, 255][dice.below(5)],
            Item::Bytes(bytes) | Item::Text(bytes) => change_bytes(bytes, dice),
            Item::Nested(inner) => change(inner, donor, dice),
            Item::Array(items) => change_list(items, donor, dice),
            Item::Map(items) => change_list(items, (donor.clone(), donor), dice),
        },
    }
}

fn change_number(value: &mut u64, dice: &mut Dice) {
    *value = match dice.below(6) {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        2 => *value ^ 1 << dice.below(64),
        3 => dice.roll() >> dice.below(64),
        _ => EDGES[dice.below(EDGES.len())],
    };
}

fn change_bytes(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let place = dice.below(bytes.len());
    match dice.below(8) {
        0 => bytes.insert(place, dice.roll() as u8),
        1 if !bytes.is_empty() => drop(bytes.remove(place)),
        2 => bytes.truncate(place),
        3 => bytes.extend_from_within(place..),
        4 if bytes.len() >= place + 4 => {
            let word = EDGES[dice.below(EDGES.len())] as u32;
            bytes[place..place + 4].copy_from_slice(&word.to_le_bytes());
        }
        _ if !bytes.is_empty() => bytes[place] ^= 1 << dice.below(8),
        _ => bytes.push(dice.roll() as u8),
    }
}

fn change_list<T: Clone>(items: &mut Vec<T>, donor: T, dice: &mut Dice) {
    let place = dice.below(items.len());
    match dice.below(6) {
        0 if !items.is_empty() => drop(items.remove(place)),
        1 if !items.is_empty() => items.insert(place, items[place].clone()),
        2 if !items.is_empty() => items.swap(place, 0),
        3 => items.truncate(place),
        4 if !items.is_empty() => {
            // Many of one: bounds on the length of lists.
            let many = vec![items[place].clone(); 1 << dice.below(12)];
            items.splice(place..place, many);
        }
        _ => items.insert(place, donor),
    }
}

fn write(item: &Item, odd: &mut Option<usize>, out: &mut Vec<u8>) {
    let mut head = |major: u8, value: u64, out: &mut Vec<u8>| {
        let wide = *odd == Some(0);
        *odd = odd.and_then(|left| left.checked_sub(1));
        write_head(major, value, wide, out);
    };
    match item {
        Item::Unsigned(value) => head(0, *value, out),
        Item::Negative(value) => head(1, *value, out),
        Item::Bytes(bytes) => {
            head(2, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        Item::Text(bytes) => {
            head(3, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        Item::Simple(value) if *value < 24 => out.push(0xe0 | value),
        Item::Simple(value) => out.extend_from_slice(&[0xf8, *value]),
        Item::Nested(inner) => {
            let mut content = Vec::new();
            write(inner, odd, &mut content);
            write_head(2, content.len() as u64, false, out);
            out.extend_from_slice(&content);
        }
        Item::Array(items) => {
            head(4, items.len() as u64, out);
            items.iter().for_each(|item| write(item, odd, out));
        }
        Item::Map(items) => {
            head(5, items.len() as u64, out);
            for (key, value) in items {
                write(key, odd, out);
                write(value, odd, out);
            }
        }
        Item::Tag(tag, inner) => {
            head(6, *tag, out);
            write(inner, odd, out);
        }
    }
}

fn write_head(major: u8, value: u64, wide: bool, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    let needed = match value {
        0..=23 => 0,
        24..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    let width = match (wide, needed) {
        (true, 0) => 1,
        (true, 1..=4) => 2 * needed,
        _ => needed,
    };
    let info = match width {
        0 => value as u8,
        1 => 24,
        2 => 25,
        4 => 26,
        _ => 27,
    };
    out.push(major << 5 | info);
    out.extend_from_slice(&bytes[8 - width..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_comes_back_the_same() {
        for (name, _, bytes) in crate::seeds::all()
            .iter()
            .filter(|(name, ..)| *name == "envelopes")
        {
            let (item, rest) = parse(&bytes[1..], 0).expect(name);
            assert!(rest.is_empty());
            let mut out = Vec::new();
            write(&item, &mut None, &mut out);
            assert_eq!(out, bytes[1..]);
        }
    }

    #[test]
    fn mutations_change_something_and_stay_cbor() {
        let list = [0x83, 0x01, 0x42, 7, 8, 0x44, 0x82, 0x61, b'x', 0xf6];
        let (mut changed, mut dice) = (0, Dice::new(1));
        for _ in 0..10_000 {
            let bytes = mutate(&list, &mut dice).expect("an item");
            assert!(
                parse(&bytes, 0).is_some_and(|(_, rest)| rest.is_empty()),
                "{bytes:02x?}"
            );
            changed += usize::from(bytes != list);
        }
        assert!(changed > 9000, "{changed}");
        assert_eq!(mutate(&[0x82, 0x01], &mut dice), None);
    }
}
