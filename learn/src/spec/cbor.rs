//! A specification in CBOR: an array of a kind and numbers, each in its shortest form.

use super::{MAX_NUMBERS, ModelSpec};
use alloc::format;
use alloc::string::{String, ToString};
use minicbor::{Decode, Decoder, Encode, Encoder};

impl<C> Encode<C> for ModelSpec {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let numbers = self.numbers();
        e.array(numbers.len() as u64 + 1)?.u32(self.kind() as u32)?;
        for &number in &*numbers {
            e.u32(number)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for ModelSpec {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let wrong = |what: String| minicbor::decode::Error::message(what);
        let count = d
            .array()?
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| (3..=MAX_NUMBERS + 1).contains(count))
            .ok_or_else(|| {
                wrong(format!(
                    "a model is an array of 3 to {} numbers",
                    MAX_NUMBERS + 1
                ))
            })?;
        let kind = d.u32()? as usize;
        let mut numbers = [0; MAX_NUMBERS];
        let numbers = &mut numbers[..count - 1];
        for number in numbers.iter_mut() {
            *number = d.u32()?;
        }
        let spec = Self::from_numbers(kind, numbers)
            .ok_or_else(|| wrong("no such kind of model".into()))?;
        spec.check().map_err(|error| wrong(error.to_string()))?;
        Ok(spec)
    }
}
