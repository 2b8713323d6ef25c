//! What is trained of each layer, as a task writes it.

use alloc::vec::Vec;
use core::num::NonZeroU16;
use minicbor::{Decode, Decoder, Encode, Encoder};

/// Most layers that ranks are read for.
const MAX_LAYERS: u64 = 64;

/// What is trained of a layer. In CBOR the rank, 0 where nothing is trained, null where everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rank {
    /// Nothing: neither weights nor biases.
    Frozen,
    /// An adapter of this rank, and the biases.
    Adapter(NonZeroU16),
    /// All weights and biases.
    Full,
}

impl Rank {
    /// Frozen for 0, else an adapter.
    #[must_use]
    pub fn of(rank: u16) -> Self {
        NonZeroU16::new(rank).map_or(Self::Frozen, Self::Adapter)
    }
}

/// One rank a layer, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ranks(Vec<Rank>);

impl Ranks {
    /// Of layers in order.
    #[must_use]
    pub fn new(ranks: Vec<Rank>) -> Self {
        Self(ranks)
    }

    /// One a layer.
    #[must_use]
    pub fn as_slice(&self) -> &[Rank] {
        &self.0
    }
}

impl<C> Encode<C> for Ranks {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(self.0.len() as u64)?;
        for rank in &self.0 {
            match rank {
                Rank::Frozen => e.u16(0)?,
                Rank::Adapter(rank) => e.u16(rank.get())?,
                Rank::Full => e.null()?,
            };
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Ranks {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let layers = d
            .array()?
            .filter(|layers| (1..=MAX_LAYERS).contains(layers));
        let layers = layers.ok_or_else(|| {
            minicbor::decode::Error::message("ranks are an array of 1 to 64 entries")
        })?;
        let mut ranks = Vec::new();
        for _ in 0..layers {
            ranks.push(if d.datatype()? == minicbor::data::Type::Null {
                d.null()?;
                Rank::Full
            } else {
                Rank::of(d.u16()?)
            });
        }
        Ok(Self(ranks))
    }
}
