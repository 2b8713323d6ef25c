//! What strangers and stewards are shown of the log: checkpoints, proofs, and what is to be cosigned
//! (docs/protocol.md, section 4.6.1). Tiles are rows: [`crate::store::tlog`].

use dawn_crypto::digest::Digest;
use dawn_identity::{PublicKey, StewardId};
use dawn_protocol::tlog::note::{Algorithm, key_id, parse_signatures};
use dawn_protocol::tlog::{
    AddCheckpoint, Checkpoint, NoteSignature, SignedNote, TlogProof, cosignature, cosigner, origin,
    subtree,
};

use crate::app::App;
use crate::clock::now_ms;
use crate::problem::Problem;
use crate::store::tlog::Quorum;

/// How long stewards that are away can hold up the next checkpoint for the others, milliseconds.
const PATIENCE_MS: u64 = 30_000;

/// The checkpoint of the log as it is now, with the cosignatures of this size.
///
/// # Errors
/// No federation yet, or the database.
pub async fn checkpoint(app: &App) -> Result<SignedNote, Problem> {
    let (size, root) = app.store.log_head().await?;
    signed(app, size, root).await
}

/// The newest checkpoint that at least T stewards of the newest roster have cosigned.
///
/// # Errors
/// 404 when there is none.
pub async fn witnessed(app: &App) -> Result<SignedNote, Problem> {
    let none = || Problem::not_found("no checkpoint has been cosigned by T stewards yet");
    let quorum = quorum(app).await?.ok_or_else(none)?;
    let row = app.store.witnessed(&quorum).await?.ok_or_else(none)?;
    signed(app, row.size, row.root).await
}

/// The proof that an entry is in the log: in the checkpoint of `size`, which has been offered to stewards; without a size
/// in the newest one with T cosignatures that has the entry, else in the log as it is now.
///
/// # Errors
/// 404 when the log has no such entry or checkpoint.
pub async fn proof(app: &App, index: u64, size: Option<u64>) -> Result<TlogProof, Problem> {
    let checkpoint = match size {
        Some(size) => {
            let row = app.store.checkpoint(size).await?;
            let row =
                row.ok_or_else(|| Problem::not_found("there is no checkpoint of this size"))?;
            (row.size, row.root)
        }
        None => match newest_with(app, index).await? {
            Some(checkpoint) => checkpoint,
            None => app.store.log_head().await?,
        },
    };
    let (size, root) = checkpoint;
    if index >= size {
        return Err(Problem::not_found("there is no such entry"));
    }
    let wanted = subtree::inclusion_tiles(index, size).map_err(Problem::internal)?;
    let tiles = app.store.tiles(wanted).await?;
    let path = subtree::inclusion_proof(index, size, &tiles).map_err(Problem::internal)?;
    Ok(TlogProof {
        index,
        path,
        checkpoint: signed(app, size, root).await?,
    })
}

async fn newest_with(app: &App, index: u64) -> Result<Option<(u64, Digest)>, Problem> {
    let Some(quorum) = quorum(app).await? else {
        return Ok(None);
    };
    let row = app.store.witnessed(&quorum).await?;
    let row = row.filter(|row| row.size > index);
    Ok(row.map(|row| (row.size, row.root)))
}

/// What a steward should cosign that has cosigned the log of `old` entries, and needs at least `least`. Neither number changes
/// what is on offer.
///
/// # Errors
/// 404 when what is on offer has not so many entries.
pub async fn to_cosign(app: &App, old: u64, least: u64) -> Result<AddCheckpoint, Problem> {
    let quorum = quorum(app).await?;
    let row = app
        .store
        .next_checkpoint(quorum.as_ref(), now_ms(), PATIENCE_MS)
        .await?
        .filter(|row| row.size >= least)
        .ok_or_else(|| Problem::not_found("the log has not so many entries to cosign"))?;
    // A steward that has cosigned more than there is gets what there is, and will say what it thinks of it.
    let proof = if old > row.size {
        Vec::new()
    } else {
        let wanted = subtree::consistency_tiles(old, row.size).map_err(Problem::internal)?;
        let tiles = app.store.tiles(wanted).await?;
        subtree::consistency_proof(old, row.size, &tiles).map_err(Problem::internal)?
    };
    Ok(AddCheckpoint {
        old,
        proof,
        checkpoint: signed(app, row.size, row.root).await?,
    })
}

/// Takes the cosignatures of stewards for the checkpoint of a size: signature lines, as a witness answers. Whether any
/// was new.
///
/// # Errors
/// 404 for a size that nobody was asked to cosign, 422 for a line that is no steward's cosignature of it.
pub async fn take(app: &App, size: u64, lines: &[u8]) -> Result<bool, Problem> {
    let text = std::str::from_utf8(lines).map_err(Problem::malformed)?;
    let lines = parse_signatures(text).map_err(Problem::malformed)?;
    let row = app.store.checkpoint(size).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no checkpoint of this size"))?;
    let checkpoint = app.checkpoint_of(row.size, row.root).await?.text();
    let mut new = false;
    for line in &lines {
        let steward = verify(app, &checkpoint, line).await?;
        new |= app
            .store
            .add_cosignature(size, &steward, &line.signature)
            .await?;
    }
    Ok(new)
}

async fn verify(app: &App, checkpoint: &str, line: &NoteSignature) -> Result<StewardId, Problem> {
    let nobody = || Problem::invalid("a line is not by a steward that is enrolled here");
    let steward = line.name.rsplit('/').next().and_then(|id| id.parse().ok());
    let steward: StewardId = steward.ok_or_else(nobody)?;
    let row = app.store.steward(&steward).await?.ok_or_else(nobody)?;
    let key = PublicKey::from_bytes(&row.steward_key).map_err(Problem::internal)?;
    cosignature::verify(line, checkpoint, &cosigner(&steward), &key).map_err(Problem::invalid)?;
    Ok(steward)
}

/// The checkpoint of a size, signed, with the cosignatures that there are.
async fn signed(app: &App, size: u64, root: Digest) -> Result<SignedNote, Problem> {
    let checkpoint = app.checkpoint_of(size, root).await?;
    // After the size was read: a key that was replaced signs no log that says so. The newest may sign every size.
    let mut note = checkpoint.sign(app.log_key().await?);
    for row in app.store.cosignatures(size).await? {
        let name = cosigner(&row.steward);
        note.signatures.push(NoteSignature {
            key_id: key_id(&name, Algorithm::Cosignature, &row.key),
            name,
            signature: row.signature,
        });
    }
    Ok(note)
}

/// T stewards of the newest roster.
async fn quorum(app: &App) -> Result<Option<Quorum>, Problem> {
    let members = app.members().await?;
    Ok(members.newest_roster().map(|roster| Quorum {
        roster: roster.digest(),
        least: u32::from(roster.threshold().t()),
    }))
}

impl App {
    /// A checkpoint of this federation's log.
    async fn checkpoint_of(&self, size: u64, root: Digest) -> Result<Checkpoint, Problem> {
        let federation = self.federation().await?;
        Ok(Checkpoint {
            origin: origin(&federation.digest()),
            size,
            root,
        })
    }
}
