//! A specification in CBOR: an array of a kind and numbers, each in its shortest form.

use super::{MAX_SIZES, ModelSpec};
use minicbor::{Decode, Decoder, Encode, Encoder};

impl<C> Encode<C> for ModelSpec {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let sizes = self.sizes();
        e.array(sizes.len() as u64 + 1)?.u32(self.kind() as u32)?;
        for &size in &*sizes {
            e.u32(size)?;
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
            .filter(|count| (3..=MAX_SIZES + 1).contains(count))
            .ok_or_else(|| {
                wrong(format!(
                    "a model is an array of 3 to {} numbers",
                    MAX_SIZES + 1
                ))
            })?;
        let kind = d.u32()? as usize;
        let mut sizes = [0; MAX_SIZES];
        let sizes = &mut sizes[..count - 1];
        for size in sizes.iter_mut() {
            *size = d.u32()?;
        }
        let spec =
            Self::from_sizes(kind, sizes).ok_or_else(|| wrong("no such kind of model".into()))?;
        spec.check().map_err(|error| wrong(error.to_string()))?;
        Ok(spec)
    }
}
