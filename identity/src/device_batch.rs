//! Many devices in one file: their secrets and credentials, one record after the other (`docs/identity-formats.md`,
//! section 4.4). Written and read as a stream, so that a million devices take no memory.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use crate::chain::CredentialChain;
use crate::credential::DeviceCredential;
use crate::issuer::IssuerCertificate;
use crate::keys::SecretKey;
use crate::signed::Signed;

const MAGIC: [u8; 4] = *b"DWNB";

/// Most bytes of an attestation that travels with its devices.
pub const MAX_ATTESTATION_BYTES: usize = 64 * 1024;

/// Why a file of devices cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The reader failed, or the file ends too early.
    #[error("the file of devices cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The bytes are something else.
    #[error("not a file of devices: {0}")]
    Malformed(&'static str),
}

/// A device with its secret.
#[derive(Debug)]
pub struct EnrolledDevice {
    /// Its secret key.
    pub key: SecretKey,
    /// What its organisation says about it.
    pub credential: Signed<DeviceCredential>,
}

/// Writes a file of devices.
pub struct BatchWriter<W> {
    out: W,
    count: u64,
}

impl<W: Write> BatchWriter<W> {
    /// Begins a file: devices of one issuer, with one attestation or an empty one.
    ///
    /// # Errors
    /// Those of the writer; [`io::ErrorKind::InvalidInput`] for an attestation that is too long.
    pub fn new(
        mut out: W,
        issuer: &Signed<IssuerCertificate>,
        attestation: &[u8],
    ) -> io::Result<Self> {
        if attestation.len() > MAX_ATTESTATION_BYTES {
            let error = "an attestation has at most 65,536 bytes";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        out.write_all(&MAGIC)?;
        for part in [issuer.bytes(), attestation] {
            write_length(&mut out, part.len())?;
            out.write_all(part)?;
        }
        Ok(Self { out, count: 0 })
    }

    /// Writes the next device.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn push(&mut self, device: &EnrolledDevice) -> io::Result<()> {
        let credential = device.credential.bytes();
        write_length(&mut self.out, credential.len())?;
        self.out.write_all(credential)?;
        self.out.write_all(&*device.key.to_seed())?;
        self.count += 1;
        Ok(())
    }

    /// Ends the file with the number of its devices: a file that was cut off has no end.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        write_length(&mut self.out, 0)?;
        self.out.write_all(&self.count.to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }
}

fn write_length(out: &mut impl Write, length: usize) -> io::Result<()> {
    let length = u32::try_from(length).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())
}

/// Reads a file of devices. Nothing is verified but that secrets belong to their credentials: whether these verify shows in
/// [`CredentialChain::verify`].
pub struct BatchReader<R> {
    input: R,
    issuer: Signed<IssuerCertificate>,
    attestation: Vec<u8>,
    count: u64,
    over: bool,
}

impl<R: Read> BatchReader<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn new(mut input: R) -> Result<Self, BatchError> {
        let mut magic = [0; 4];
        input.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(BatchError::Malformed("it does not begin with DWNB"));
        }
        let issuer = read_part(&mut input, Signed::<IssuerCertificate>::MAX_BYTES)?;
        let issuer = Signed::from_bytes(&issuer)
            .map_err(|_| BatchError::Malformed("it has no issuer certificate"))?;
        let attestation = read_part(&mut input, MAX_ATTESTATION_BYTES)?;
        Ok(Self {
            input,
            issuer,
            attestation,
            count: 0,
            over: false,
        })
    }

    /// The certificate of the issuer of all devices.
    pub fn issuer(&self) -> &Signed<IssuerCertificate> {
        &self.issuer
    }

    /// The attestation; empty when there is none.
    pub fn attestation(&self) -> &[u8] {
        &self.attestation
    }

    /// The next device with its chain; none after the last.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn next_device(&mut self) -> Result<Option<(SecretKey, CredentialChain)>, BatchError> {
        if self.over {
            return Ok(None);
        }
        let credential = read_part(&mut self.input, Signed::<DeviceCredential>::MAX_BYTES)?;
        if credential.is_empty() {
            self.end()?;
            return Ok(None);
        }
        let credential = Signed::<DeviceCredential>::from_bytes(&credential)
            .map_err(|_| BatchError::Malformed("a record has no device credential"))?;
        let mut seed = Zeroizing::new([0; 32]);
        self.input.read_exact(&mut *seed)?;
        let key = SecretKey::from_seed(&seed);
        if credential.peek().key != key.public() {
            return Err(BatchError::Malformed(
                "a secret key is not the one of its credential",
            ));
        }
        self.count += 1;
        let chain = CredentialChain {
            issuer: self.issuer.clone(),
            credential,
        };
        Ok(Some((key, chain)))
    }

    /// Passes over so many devices without looking at them; gives how many there were.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn skip(&mut self, devices: u64) -> Result<u64, BatchError> {
        let mut record = Zeroizing::new(Vec::new());
        for passed in 0..devices {
            let length = read_length(&mut self.input, Signed::<DeviceCredential>::MAX_BYTES)?;
            if length == 0 {
                self.end()?;
                return Ok(passed);
            }
            record.resize(length + 32, 0);
            self.input.read_exact(&mut record)?;
            self.count += 1;
        }
        Ok(devices)
    }

    fn end(&mut self) -> Result<(), BatchError> {
        let mut count = [0; 8];
        self.input.read_exact(&mut count)?;
        let more = self.input.read(&mut [0])?;
        if u64::from_le_bytes(count) != self.count || more != 0 {
            return Err(BatchError::Malformed(
                "its end does not say how many devices there are",
            ));
        }
        self.over = true;
        Ok(())
    }
}

/// A length, checked before memory is taken.
fn read_length(input: &mut impl Read, most: usize) -> Result<usize, BatchError> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > most {
        return Err(BatchError::Malformed("a part is too long"));
    }
    Ok(length)
}

fn read_part(input: &mut impl Read, most: usize) -> Result<Vec<u8>, BatchError> {
    let mut part = vec![0; read_length(input, most)?];
    input.read_exact(&mut part)?;
    Ok(part)
}
