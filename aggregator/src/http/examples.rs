//! Examples for `/openapi.json`.

use serde_json::{Value, json};

/// Of the header of RFC 9530.
pub(super) const CONTENT_DIGEST: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";

/// Of the header of RFC 9421.
pub(super) const SIGNATURE_INPUT: &str = "dawn=(\"@method\" \"@target-uri\" \"content-digest\" \"content-type\");created=1800000000;expires=1800000060;nonce=\"AbBYAXXLBg\";keyid=\"poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U\";alg=\"ed25519\";tag=\"dawn-org-register\"";

/// Of the header of RFC 9421: 64 bytes in base64.
pub(super) const SIGNATURE: &str = "dawn=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:";

const ID: &str = "3f786850e387550fdab836ed7e6dc881de23001b9d6f4a1f2c8e5b7a90c1d2e3";

/// What is known of a parameter's values, and one of them.
pub(super) fn of_parameter(name: &str) -> Option<(Value, Value)> {
    Some(match name {
        "task" | "org" | "device" | "steward" | "digest" => (json!({}), json!(ID)),
        "round" => (json!({"minimum": 1}), json!(1)),
        "epoch" => (json!({"minimum": 1}), json!(1)),
        "kind" => (
            json!({"enum": ["sealing-key", "endorsement", "beacon-share", "opening"]}),
            json!("endorsement"),
        ),
        "level" => (json!({"minimum": 0, "maximum": 7}), json!(0)),
        "tile" => (json!({"pattern": "^[0-9]{3}$"}), json!("000")),
        "width" => (json!({"minimum": 1, "maximum": 255}), json!(1)),
        "wait" => (json!({"maximum": 60}), json!(0)),
        "limit" => (json!({}), json!(16)),
        "from" | "after" | "old" | "least" | "index" => (json!({}), json!(0)),
        "size" => (json!({}), json!(1)),
        "payloads" => (json!({}), json!(false)),
        _ => return None,
    })
}

/// An example of a schema.
pub(super) fn of_schema(name: &str) -> Option<Value> {
    let round = json!({
        "number": 1,
        "phase": "collecting",
        "began_ms": 1_800_000_000_000_u64,
        "deadline_ms": 1_800_000_060_000_u64,
        "submitted": 12,
        "rejected": {},
        "charge_micro_rho": 1250,
        "spent_micro_rho": 0,
        "model": ID,
        "phase_ms": {"keying": 310, "endorsing": 120},
        "bytes": 4_915_200,
    });
    let steward = json!({
        "steward": ID,
        "steward_key": ID,
        "vrf_key": ID,
        "enrolled_ms": 1_800_000_000_000_u64,
    });
    Some(match name {
        "AggregatorInfo" => json!({
            "aggregator_key": ID,
            "log_key": ID,
            "protocol_version": 1,
            "software_version": "0.1.0",
        }),
        "NonceInfo" => json!({
            "nonce": "AbBYAXXLBg",
            "expires": 1_800_000_300_u64,
            "now": 1_800_000_000_u64,
            "clock_skew": 30,
            "max_lifetime": 300,
        }),
        "Org" => json!({
            "org": ID,
            "name": "north",
            "root_key": ID,
            "thumbprint": "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U",
            "founder": true,
            "status": "member",
            "approvals": 0,
            "sequence": 0,
            "head": ID,
            "issuers": [ID],
            "registered_ms": 1_800_000_000_000_u64,
            "stewards": [steward],
        }),
        "Steward" => steward,
        "Problem" => json!({
            "type": "urn:dawn:problem:not-found",
            "title": "There is no such thing here",
            "status": 404,
            "detail": "there is no such task",
        }),
        "RoundStatus" => round,
        "TaskStatus" => json!({
            "task": ID,
            "name": "handwritten digits",
            "rounds_planned": 10,
            "ended": false,
            "dimension": 650,
            "spent_micro_rho": 0,
            "delta": 0.000_001,
            "rounds": [round],
        }),
        "TaskSummary" => json!({
            "task": ID,
            "name": "handwritten digits",
            "owner": ID,
            "roster": ID,
            "rounds": 10,
            "created_ms": 1_800_000_000_000_u64,
        }),
        _ => return None,
    })
}
