//! The shapes of convolutional models.

use super::{LayerShape, List, MAX_HIDDEN, SpecError, size};

/// Largest height and width of an image.
pub const MAX_SIDE: u32 = 128;
/// Most convolutions of a model.
pub const MAX_CONVOLUTIONS: usize = 4;
/// Largest number of channels of an image, and of a convolution.
pub const MAX_CHANNELS: u32 = 256;
/// Largest kernel: 7 x 7.
pub const MAX_KERNEL: u32 = 7;
/// Most entries of the patches of one image (positions times kernel squared times channels): 4 MiB of mantissas.
pub const MAX_PATCHES: u32 = 1 << 21;
/// Most sums of a convolution over one image (positions times its channels): 3 MiB of sums.
pub const MAX_SUMS: u32 = 1 << 18;

/// The size of an image. Feature `(row * width + column) * channels + channel` is a pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Image {
    /// Rows, 2 to [`MAX_SIDE`].
    pub height: u32,
    /// Columns, 2 to [`MAX_SIDE`].
    pub width: u32,
    /// Numbers of a pixel, 1 to [`MAX_CHANNELS`].
    pub channels: u32,
}

/// A convolution with stride one and without padding, a rectifier, and the largest of every 2 x 2 (a last odd row or column is left
/// out): of an image of `h x w` it makes one of `(h - kernel + 1) / 2 x (w - kernel + 1) / 2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// Channels of what it makes, 1 to [`MAX_CHANNELS`].
    pub channels: u32,
    /// Height and width of its kernel, 1 to [`MAX_KERNEL`].
    pub kernel: u32,
}

/// The convolutions of a model, the first one first.
pub type Convolutions = List<Convolution, MAX_CONVOLUTIONS>;

impl Image {
    /// Numbers of an image.
    #[must_use]
    pub fn features(self) -> u32 {
        self.height
            .saturating_mul(self.width)
            .saturating_mul(self.channels)
    }

    /// What a convolution makes of it, before the largest of every 2 x 2 are taken; nothing is left when the kernel is larger.
    pub(super) fn convolved(self, convolution: Convolution) -> Self {
        let left = |side: u32| side.saturating_add(1).saturating_sub(convolution.kernel);
        Self {
            height: left(self.height),
            width: left(self.width),
            channels: convolution.channels,
        }
    }

    pub(super) fn pooled(self) -> Self {
        Self {
            height: self.height / 2,
            width: self.width / 2,
            ..self
        }
    }
}

/// Checks an image and the convolutions after it.
pub(super) fn check(image: Image, convolutions: &[Convolution]) -> Result<(), SpecError> {
    size("height of the image", image.height, 2, MAX_SIDE)?;
    size("width of the image", image.width, 2, MAX_SIDE)?;
    size("channels of the image", image.channels, 1, MAX_CHANNELS)?;
    let count = convolutions.len() as u32;
    size("convolutions", count, 1, MAX_CONVOLUTIONS as u32)?;
    let mut image = image;
    for &convolution in convolutions {
        let least = image.height.min(image.width);
        size("height and width before a convolution", least, 2, MAX_SIDE)?;
        size(
            "channels of a convolution",
            convolution.channels,
            1,
            MAX_CHANNELS,
        )?;
        // At least 2 x 2 are left, of which the largest is taken.
        let most = (least - 1).min(MAX_KERNEL);
        size("kernel of a convolution", convolution.kernel, 1, most)?;
        let convolved = image.convolved(convolution);
        let positions = convolved.height * convolved.width;
        size(
            "positions times kernel squared times channels before a convolution",
            positions * convolution.kernel.pow(2) * image.channels,
            1,
            MAX_PATCHES,
        )?;
        size(
            "positions times channels of a convolution",
            convolved.features(),
            1,
            MAX_SUMS,
        )?;
        image = convolved.pooled();
        size("units after a convolution", image.features(), 1, MAX_HIDDEN)?;
    }
    Ok(())
}

/// A convolution and the place of its parameters: as those of a dense layer from patches to channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConvolutionShape {
    /// From a patch (row by row, column by column, channel by channel) to the channels of one position.
    pub(crate) layer: LayerShape,
    pub(crate) kernel: usize,
    pub(crate) before: Sides,
    /// Without the pooling.
    pub(crate) convolved: Sides,
    pub(crate) pooled: Sides,
}

/// An image within a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sides {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl Sides {
    pub(crate) fn positions(self) -> usize {
        self.height * self.width
    }

    pub(crate) fn features(self) -> usize {
        self.positions() * self.channels
    }
}

impl From<Image> for Sides {
    fn from(image: Image) -> Self {
        Self {
            height: image.height as usize,
            width: image.width as usize,
            channels: image.channels as usize,
        }
    }
}

/// The shapes of the convolutions, whose parameters come first.
pub(super) fn shapes(
    mut image: Image,
    convolutions: &[Convolution],
) -> impl Iterator<Item = ConvolutionShape> {
    let mut offset = 0;
    convolutions.iter().map(move |&convolution| {
        let convolved = image.convolved(convolution);
        let kernel = convolution.kernel as usize;
        let layer = LayerShape {
            inputs: kernel * kernel * image.channels as usize,
            outputs: convolution.channels as usize,
            offset,
        };
        offset = layer.biases().end;
        let shape = ConvolutionShape {
            layer,
            kernel,
            before: image.into(),
            convolved: convolved.into(),
            pooled: convolved.pooled().into(),
        };
        image = convolved.pooled();
        shape
    })
}
