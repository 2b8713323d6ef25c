//! The file of the steward's VRF key: a 32-byte seed of its own, never the signing key's, as 64
//! hexadecimal digits and a newline.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use dawn_crypto::vrf::VrfSecretKey;
use zeroize::Zeroizing;

use crate::durable;

/// Writes the key into a new file that only this user may read.
///
/// # Errors
/// When the file exists, or cannot be written.
pub fn create(path: &Path, key: &VrfSecretKey) -> io::Result<()> {
    let mut digits = Zeroizing::new([0u8; 64]);
    hex::encode_to_slice(*key.to_seed(), &mut *digits).expect("64 digits are 32 bytes");
    let mut file = durable::private_options()
        .write(true)
        .create_new(true)
        .open(path)?;
    file.write_all(&*digits)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Reads the key.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn read(path: &Path) -> io::Result<VrfSecretKey> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not the file of a VRF key");
    // Reserved, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(Vec::with_capacity(256));
    File::open(path)?.take(200).read_to_end(&mut text)?;
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii_end(), &mut *seed).map_err(|_| wrong())?;
    Ok(VrfSecretKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_is_not_overwritten() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("vrf.key");
        let key = VrfSecretKey::from_seed(&[7; 32]);
        create(&path, &key).expect("create");
        assert_eq!(read(&path).expect("read").public(), key.public());
        assert!(create(&path, &key).is_err(), "there is one already");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = path.metadata().expect("metadata").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let text = std::fs::read_to_string(&path).expect("text");
        for wrong in [&text[1..], &text[..text.len() - 2], "", &text.repeat(2)] {
            std::fs::write(&path, wrong).expect("write");
            assert!(read(&path).is_err(), "{wrong}");
        }
    }
}
