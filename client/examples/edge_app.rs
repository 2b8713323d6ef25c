//! Everything that an app does to take part in federated learning: bring the pinned federation, the
//! device's credential and its data; the library does the rest. Compiled by the tests.
//!
//! `edge_app URL FEDERATION_DIGEST TASK DEVICE_DIR`, where `DEVICE_DIR` holds `federation.cbor`,
//! `credential.cbor` and `device.pem`. A real app brings its own data; this one has the digits.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use dawn_client::{Client, ClientError, Terms};
use dawn_identity::{CredentialChain, FoundingDocument, SecretKey, from_canonical_bounded};
use dawn_learn::data::digits;
use rand_core::UnwrapErr;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [server, pin, task, dir] = args.as_slice() else {
        return Err("usage: edge_app URL FEDERATION_DIGEST TASK DEVICE_DIR".into());
    };
    let dir = Path::new(dir);
    let document = FoundingDocument::from_bytes(&fs::read(dir.join("federation.cbor"))?)?;
    let chain = fs::read(dir.join("credential.cbor"))?;
    let chain = from_canonical_bounded(&chain, CredentialChain::MAX_BYTES)?;
    let key = SecretKey::from_pkcs8_pem(&fs::read_to_string(dir.join("device.pem"))?)?;
    let terms = Terms {
        max_rounds: Some(1000),
        ..Terms::default()
    };
    let data = digits()?.train;

    let client = Client::builder()
        .server(server)
        .federation(document, pin.parse()?)
        .device(chain, key)
        .state_dir(dir.join("state"))
        .terms(terms)
        .build()?;
    let mut participation = client.join(task.parse()?).await?;
    let mut rng = UnwrapErr(getrandom::SysRng);
    loop {
        match participation.next_round(Duration::from_secs(30)).await {
            Ok(Some(round)) => {
                let update = round.train(&data, &mut rng)?;
                let receipt = round.submit(update, &mut rng).await?;
                println!("{} received at {} ms", receipt.round, receipt.received_ms);
            }
            Ok(None) => {}
            Err(ClientError::NotSelected { .. }) => {}
            Err(ClientError::Ended(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
