//! The log in the formats of C2SP (`docs/protocol.md`, section 4.6.1): checkpoints, proofs, tiles, and what stewards cosign.

use bytes::Bytes;
use dawn_protocol::tlog::note::MAX_NOTE_BYTES;
use dawn_protocol::tlog::proof::MAX_PROOF_BYTES;
use dawn_protocol::tlog::tile::{Bundle, TileId};
use dawn_protocol::tlog::witness::MAX_ADD_CHECKPOINT_BYTES;
use dawn_protocol::tlog::{AddCheckpoint, NoteSignature, SignedNote, TlogError, TlogProof};
use dawn_protocol::{Digest, MAX_STATEMENT_BYTES};
use reqwest::{Method, header};

use crate::api::{Api, Call, finish};
use crate::error::TransportError;
use crate::limits;

fn malformed(what: &'static str) -> impl Fn(TlogError) -> TransportError {
    move |error| TransportError::Malformed {
        what,
        why: error.to_string(),
    }
}

impl Api {
    /// `GET /v1/log/checkpoint`: the log as it is now. Unverified.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn log_checkpoint(&self) -> Result<SignedNote, TransportError> {
        self.note("v1/log/checkpoint").await
    }

    /// `GET /v1/log/checkpoint/witnessed`: the newest checkpoint that is said to have the cosignatures of T stewards.
    /// Unverified.
    ///
    /// # Errors
    /// [`TransportError`]; a 404 problem while there is none.
    pub async fn witnessed_checkpoint(&self) -> Result<SignedNote, TransportError> {
        self.note("v1/log/checkpoint/witnessed").await
    }

    async fn note(&self, path: &str) -> Result<SignedNote, TransportError> {
        let answer = self.call(Call::get(path, MAX_NOTE_BYTES as u64)).await?;
        SignedNote::parse(&answer.body).map_err(malformed("checkpoint"))
    }

    /// `GET /v1/log/proof/{index}`: that an entry is in the log, in the checkpoint of `size`, or where the server chooses.
    /// Unverified, except that it is about this entry.
    ///
    /// # Errors
    /// [`TransportError`]; a 404 problem when there is no such entry or checkpoint.
    pub async fn log_proof(
        &self,
        index: u64,
        size: Option<u64>,
    ) -> Result<TlogProof, TransportError> {
        let path = format!("v1/log/proof/{index}");
        let query: Vec<_> = size.map(|size| ("size", size)).into_iter().collect();
        let call = Call::get(&path, MAX_PROOF_BYTES as u64).query(&query);
        let answer = self.call(call).await?;
        let proof = TlogProof::parse(&answer.body).map_err(malformed("proof"))?;
        if proof.index != index {
            return Err(TransportError::Malformed {
                what: "proof",
                why: "it is about another entry".to_owned(),
            });
        }
        Ok(proof)
    }

    /// `GET /v1/log/witness`: what a steward should cosign that has cosigned the log of `old` entries and needs at least
    /// `least`. Unverified.
    ///
    /// # Errors
    /// [`TransportError`]; a 404 problem when the log has not so many entries.
    pub async fn log_to_cosign(
        &self,
        old: u64,
        least: u64,
    ) -> Result<AddCheckpoint, TransportError> {
        let query = [("old", old), ("least", least)];
        let call = Call::get("v1/log/witness", MAX_ADD_CHECKPOINT_BYTES as u64).query(&query);
        let answer = self.call(call).await?;
        AddCheckpoint::parse(&answer.body).map_err(malformed("checkpoint to cosign"))
    }

    /// `POST /v1/log/witness`: a cosignature of the checkpoint of a size. Safe to repeat.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn put_cosignature(
        &self,
        size: u64,
        line: &NoteSignature,
    ) -> Result<(), TransportError> {
        let line = Bytes::from(line.to_line());
        self.repeated(|| async {
            let request = self
                .request(Method::POST, "v1/log/witness", &[("size", size)])?
                .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
                .timeout(self.exchange_timeout())
                .body(line.clone());
            let response = request.send().await.map_err(TransportError::from_http)?;
            finish(response, limits::ACKNOWLEDGEMENT).await
        })
        .await
        .map(|_| ())
    }

    /// `GET /v1/log/tile/...`: the hashes of a tile, as many as its name says; nothing else is verified.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn log_tile(&self, tile: &TileId) -> Result<Vec<Digest>, TransportError> {
        let path = format!("v1/log/{}", tile.path());
        let answer = self
            .call(Call::get(&path, u64::from(tile.width) * 32))
            .await?;
        tile.hashes(&answer.body).map_err(malformed("tile"))
    }

    /// `GET /v1/log/tile/entries/...`: the bytes of a bundle of entries, which has as many as its name says; nothing else is
    /// verified.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn log_bundle(&self, bundle: &Bundle) -> Result<Vec<u8>, TransportError> {
        let path = format!("v1/log/{}", bundle.path());
        let most = u64::from(bundle.width) * (MAX_STATEMENT_BYTES as u64 + 2);
        let answer = self.call(Call::get(&path, most)).await?;
        bundle
            .entries(&answer.body)
            .map_err(malformed("bundle of entries"))?;
        Ok(answer.body)
    }
}
