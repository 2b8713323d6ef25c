//! What a task may ask for beyond training and adding up (`docs/protocol.md`, section 4.1). What is not asked for takes
//! no bytes: a task without options encodes as if there were none.

use dawn_learn::Way;
use minicbor::{Decode, Encode};

use crate::evaluation::EvaluationRule;
use crate::functional::Functional;
use crate::groups::GroupRule;
use crate::noise::StewardNoise;
use crate::selection::Selection;

/// A task's options. The default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct TaskOptions {
    /// What is proven of every update beside its norm (section 4.5).
    #[n(0)]
    pub functional: Option<Functional>,
    /// Sums over groups and a robust rule, instead of one sum (section 4.7).
    #[n(1)]
    pub groups: Option<GroupRule>,
    /// Noise that stewards contribute (section 4.8); none: the devices carry all of it.
    #[n(2)]
    pub noise: Option<StewardNoise>,
    /// How devices learn together; none: by averaging everything (`docs/learning.md`, section 5.2).
    #[n(3)]
    pub way: Option<Way>,
    /// Which devices take part in a round (section 4.10); none: all.
    #[n(5)]
    pub selection: Option<Selection>,
    /// The policy's quota: most submissions of one organisation's devices in a round; none: as many as there is room for.
    #[n(6)]
    pub quota: Option<u32>,
    /// What devices say of the round's model on samples that they hold out (section 4.2.1); none: nothing.
    #[n(4)]
    pub evaluation: Option<EvaluationRule>,
}

/// The field's codec: the default is null, which is left out at the end of an array.
pub(crate) mod codec {
    use super::TaskOptions;
    use minicbor::decode::{Decoder, Error as DecodeError};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};
    use minicbor::{Decode as _, Encode as _};

    pub(crate) fn encode<C, W: Write>(
        options: &TaskOptions,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        if is_nil(options) {
            e.null()?.ok()
        } else {
            options.encode(e, ctx)
        }
    }

    pub(crate) fn is_nil(options: &TaskOptions) -> bool {
        *options == TaskOptions::default()
    }

    pub(crate) fn decode<'b, C>(
        d: &mut Decoder<'b>,
        ctx: &mut C,
    ) -> Result<TaskOptions, DecodeError> {
        if d.datatype()? == minicbor::data::Type::Null {
            d.null()?;
            return Ok(TaskOptions::default());
        }
        TaskOptions::decode(d, ctx)
    }

    pub(crate) fn nil() -> Option<TaskOptions> {
        Some(TaskOptions::default())
    }
}
