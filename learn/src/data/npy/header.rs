//! What an NPY file says about its array: version, type of the elements, shape.

use super::element::Element;
use std::io::{self, Read};

/// Longest header, NumPy's own limit.
const MAX_HEADER: usize = 10_000;
/// Most dimensions.
const MAX_DIMENSIONS: usize = 8;
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Type of the elements, and the lengths of the dimensions, the first one outermost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// Reads up to the first element. Takes at most [`MAX_HEADER`] bytes of memory, whatever the file says.
    pub(super) fn read(reader: &mut impl Read) -> io::Result<Result<Self, String>> {
        let mut take = |len: usize| -> io::Result<Option<Vec<u8>>> {
            let mut bytes = Vec::new();
            reader.by_ref().take(len as u64).read_to_end(&mut bytes)?;
            Ok((bytes.len() == len).then_some(bytes))
        };
        let start = take(MAGIC.len() + 2)?;
        let Some([b0, b1, b2, b3, b4, b5, major, minor]) = start.as_deref() else {
            return Ok(Err("is not an NPY file".into()));
        };
        if [*b0, *b1, *b2, *b3, *b4, *b5] != *MAGIC {
            return Ok(Err("is not an NPY file".into()));
        }
        let length_bytes = match (major, minor) {
            (1, 0) => 2,
            (2 | 3, 0) => 4,
            _ => {
                return Ok(Err(format!(
                    "has the version {major}.{minor}; 1.0, 2.0 and 3.0 can be read"
                )));
            }
        };
        let Some(length) = take(length_bytes)? else {
            return Ok(Err("ends in its header".into()));
        };
        let length = length
            .iter()
            .rev()
            .fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
        let Some(length) = usize::try_from(length).ok().filter(|&l| l <= MAX_HEADER) else {
            return Ok(Err(format!(
                "has a header of {length} bytes, more than {MAX_HEADER}"
            )));
        };
        let Some(text) = take(length)? else {
            return Ok(Err("ends in its header".into()));
        };
        Ok(match core::str::from_utf8(&text) {
            Ok(text) => Self::parse(text),
            Err(_) => Err("has a header that is not text".into()),
        })
    }

    /// Reads the dictionary: each of the three keys once, in any order.
    fn parse(text: &str) -> Result<Self, String> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        let mut text = Cursor(text);
        let unreadable =
            || "has a header that is not a dictionary of descr, fortran_order and shape".to_owned();
        if !text.take("{") {
            return Err(unreadable());
        }
        while !text.take("}") {
            let key = text.string().filter(|_| text.take(":"));
            let again = match key.ok_or_else(unreadable)? {
                "descr" if text.at("[") => {
                    return Err("holds records of several fields: save one plain array".into());
                }
                "descr" => descr
                    .replace(text.string().ok_or_else(unreadable)?)
                    .is_some(),
                "fortran_order" => {
                    let order = text.boolean().ok_or_else(unreadable)?;
                    fortran_order.replace(order).is_some()
                }
                "shape" => {
                    let sizes = text.tuple().ok_or_else(unreadable)?;
                    shape.replace(sizes).is_some()
                }
                _ => true,
            };
            if again || !(text.take(",") || text.at("}")) {
                return Err(unreadable());
            }
        }
        let (Some(descr), Some(fortran_order), Some(shape)) = (descr, fortran_order, shape) else {
            return Err(unreadable());
        };
        if !text.0.trim().is_empty() {
            return Err(unreadable());
        }
        let element = Element::named(descr)?;
        if fortran_order && shape.len() > 1 {
            return Err("is in Fortran order: save it with numpy.ascontiguousarray".into());
        }
        Ok(Self { element, shape })
    }
}

/// What is left of a header, space between tokens aside.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn at(&mut self, token: &str) -> bool {
        self.0 = self.0.trim_ascii_start();
        self.0.starts_with(token)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.at(token);
        if found {
            self.0 = &self.0[token.len()..];
        }
        found
    }

    /// A string between quotes of one kind, without escapes.
    fn string(&mut self) -> Option<&'a str> {
        let quote = ["'", "\""].into_iter().find(|quote| self.take(quote))?;
        let (string, rest) = self.0.split_once(quote)?;
        self.0 = rest;
        (!string.contains('\\')).then_some(string)
    }

    fn boolean(&mut self) -> Option<bool> {
        if self.take("True") {
            return Some(true);
        }
        self.take("False").then_some(false)
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut sizes = Vec::new();
        if !self.take("(") {
            return None;
        }
        while !self.take(")") {
            self.0 = self.0.trim_ascii_start();
            let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
            if sizes.len() == MAX_DIMENSIONS {
                return None;
            }
            sizes.push(self.0[..digits].parse().ok()?);
            self.0 = &self.0[digits..];
            // One number is a tuple only with a comma.
            if !self.take(",") && (sizes.len() == 1 || !self.at(")")) {
                return None;
            }
        }
        Some(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Element, Vec<usize>), String> {
        Header::parse(text).map(|header| (header.element, header.shape))
    }

    #[test]
    fn dictionaries_are_read_in_any_order_and_spacing() {
        for (text, shape) in [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }      \n",
                vec![3, 2],
            ),
            (
                "{\"shape\":(3,2),'fortran_order':False,'descr':\"<f4\"}",
                vec![3, 2],
            ),
            (
                "{'descr': '<f4', 'fortran_order': True, 'shape': (7,)}",
                vec![7],
            ),
            (
                "{ 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( ) , }",
                vec![],
            ),
        ] {
            assert_eq!(parse(text), Ok((Element::F32, shape)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, error) in [
            ("", "not a dictionary"),
            ("{}", "not a dictionary"),
            ("{'descr': '<f4', 'shape': (3,)}", "not a dictionary"),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3)}",
                "not a dictionary",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'shape': (3,)}",
                "not a dictionary",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
                "not a dictionary",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
                "not a dictionary",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                "not a dictionary",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
                "not a dictionary",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} 1",
                "not a dictionary",
            ),
            (
                "{'descr': '<f4' 'fortran_order': False, 'shape': (3,)}",
                "not a dictionary",
            ),
            (
                "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2)}",
                "Fortran order",
            ),
            (
                "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
                "records",
            ),
            (
                "{'descr': '>f4', 'fortran_order': False, 'shape': (3,)}",
                "big-endian",
            ),
            (
                "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
                "Python objects",
            ),
            (
                "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
                "`<c8`",
            ),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.contains(error), "{text}: {found}");
        }
    }

    #[test]
    fn headers_are_bounded() {
        let read = |bytes: &[u8]| Header::read(&mut &bytes[..]).unwrap();
        let text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}";
        let length = u8::try_from(text.len()).unwrap();
        let one = [&b"\x93NUMPY\x01\0"[..], &[length, 0], text].concat();
        let three = [&b"\x93NUMPY\x03\0"[..], &[length, 0, 0, 0], text].concat();
        for bytes in [&one, &three] {
            let header = read(bytes).unwrap();
            assert_eq!((header.element, header.shape), (Element::U8, vec![2]));
            for cut in 0..bytes.len() {
                assert!(read(&bytes[..cut]).is_err());
            }
        }
        for (bytes, error) in [
            (&b"\x93NUMPY\x02\0\xff\xff\xff\xff{"[..], "more than 10000"),
            (b"\x93NUMPY\x04\0\x01\0\0\0{", "version 4.0"),
            (b"\x93NUMPY\x01\0\x01\0\xff", "not text"),
            (b"\x93NUMPX\x01\0\x01\0{", "not an NPY file"),
        ] {
            let found = read(bytes).unwrap_err();
            assert!(found.contains(error), "{found}");
        }
    }
}
