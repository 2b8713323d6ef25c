//! What `/openapi.json` says beyond the handlers' own words: every status that an operation can answer with, what
//! parameters and bodies look like, and examples.

use http::Method;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::examples;
use super::signed::purpose;

/// The document.
pub(super) fn describe(openapi: &OpenApi) -> Value {
    let mut document = serde_json::to_value(openapi).unwrap_or_default();
    if let Some(schemas) = document.pointer_mut("/components/schemas") {
        for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
            if let Some(example) = examples::of_schema(name) {
                schema["examples"] = json!([example]);
            }
        }
    }
    document["components"]["responses"] = Value::Object(responses());
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.extend(tiles());
    }
    for (path, item) in object(&mut document, "paths") {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(method, path, operation);
        }
    }
    document
}

/// Tiles have names of several path elements (C2SP tlog-tiles), which one route takes and no one template describes: those of the
/// first thousand indexes, full and partial.
fn tiles() -> impl Iterator<Item = (String, Value)> {
    const HASHES: (&str, &str) = (
        "{level}",
        "A tile of hashes: 32 bytes each, 256 of them or `width`",
    );
    const ENTRIES: (&str, &str) = (
        "entries",
        "A bundle of log entries, each after its length as a big-endian u16: 256 of them or `width`",
    );
    let operation = |(folder, what): (&str, &str), partial: bool| {
        let parameter = |name: &str, kind: &str, what: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": kind}, "description": what});
        let mut parameters = vec![parameter(
            "tile",
            "string",
            "Index with three digits; from 1000 on an element for every three digits more comes before, as in x001/234",
        )];
        if folder == HASHES.0 {
            let what = "Level: a hash is of 256^level entries";
            parameters.insert(0, parameter("level", "integer", what));
        }
        if partial {
            let what = "Number of hashes or entries of the last one, which is not full";
            parameters.push(parameter("width", "integer", what));
        }
        let end = if partial { ".p/{width}" } else { "" };
        let described = json!({"get": {
            "tags": ["log"],
            "operationId": format!("get_{}_{}", if partial { "partial" } else { "full" }, if folder == HASHES.0 { "tile" } else { "bundle" }),
            "summary": format!("{what} (C2SP tlog-tiles)."),
            "parameters": parameters,
            "responses": {
                "200": {"description": what, "content": {"application/octet-stream": {}}},
                "404": {"description": "The tree as it is now has no such tile", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
            },
        }});
        (format!("/v1/log/tile/{folder}/{{tile}}{end}"), described)
    };
    let all = [
        (HASHES, false),
        (HASHES, true),
        (ENTRIES, false),
        (ENTRIES, true),
    ];
    all.into_iter()
        .map(move |(of, partial)| operation(of, partial))
}

/// The refusals: status, when, and an example of `detail`.
const REFUSALS: [(u16, &str, &str, &str); 13] = [
    (
        400,
        "malformed",
        "The request is malformed",
        "the path: invalid digit found in string",
    ),
    (
        401,
        "unsigned",
        "The request is not signed as it must be, or (type urn:dawn:problem:stale-nonce) its nonce does not count",
        "the body is not the one of the content-digest",
    ),
    (
        403,
        "forbidden",
        "This party may not do that",
        "the owner is not a member",
    ),
    (
        404,
        "not-found",
        "There is no such thing here",
        "there is no such task",
    ),
    (
        408,
        "too-slow",
        "The request took too long",
        "the body arrived too slowly; send it again",
    ),
    (
        409,
        "conflict",
        "Something else is stored already, or the round is in another phase",
        "this epoch has another roster, and it stays",
    ),
    (410, "ended", "It has ended", "the task has ended"),
    (
        413,
        "too-large",
        "The body is too large",
        "at most 4352 bytes are taken here",
    ),
    (
        415,
        "wrong-media-type",
        "The media type is not taken here",
        "send application/cbor",
    ),
    (
        422,
        "invalid",
        "A rule of the protocol is broken",
        "the registration is for another federation",
    ),
    (
        429,
        "quota",
        "A limit is reached",
        "this key sends more requests than this server takes in a minute; try again in a minute",
    ),
    (
        500,
        "internal",
        "The server failed",
        "the store failed; the operator's log says why",
    ),
    (
        503,
        "unavailable",
        "The server cannot do this now",
        "the database is busy or away; try again",
    ),
];

fn responses() -> Map<String, Value> {
    let response = |(status, slug, title, detail): (u16, &str, &str, &str)| {
        let example = json!({
            "type": format!("urn:dawn:problem:{slug}"),
            "title": title,
            "status": status,
            "detail": detail,
        });
        let mut response = json!({
            "description": title,
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": example,
            }},
        });
        if matches!(status, 429 | 503) {
            response["headers"] = json!({"Retry-After": {
                "description": "Seconds until it is worth asking again.",
                "schema": {"type": "integer", "minimum": 0},
            }});
        }
        if status == 401 {
            response["headers"] = json!({"Accept-Signature": {
                "description": "What the signature must have (RFC 9421, section 5.1).",
                "schema": {"type": "string"},
            }});
        }
        (status.to_string(), response)
    };
    REFUSALS.map(response).into_iter().collect()
}

/// With which statuses an operation refuses.
fn refusals(method: &str, path: &str, operation: &Value) -> Vec<u16> {
    let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
    let administrative = Method::from_bytes(method.to_uppercase().as_bytes())
        .ok()
        .and_then(|method| purpose(&method, path))
        .is_some();
    let mut statuses = vec![500, 503];
    if parameters > 0 {
        statuses.push(400);
    }
    if path.starts_with("/v1/") {
        statuses.push(404);
    }
    if !operation["requestBody"].is_null() {
        statuses.extend([400, 408, 409, 413, 415, 422]);
    }
    if path.contains("/rounds/") {
        statuses.extend([403, 409]);
    }
    if path.ends_with("/round") {
        statuses.push(410);
    }
    if path.contains("/submissions/") {
        statuses.push(429);
    }
    if administrative {
        statuses.extend([401, 403, 429]);
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn complete(method: &str, path: &str, operation: &mut Value) {
    let refusals = refusals(method, path, operation);
    if let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    {
        responses.remove("default");
        for status in refusals {
            let of_all = json!({"$ref": format!("#/components/responses/{status}")});
            responses.entry(status.to_string()).or_insert(of_all);
        }
        for response in responses.values_mut() {
            binary(response);
        }
    }
    if let Some(body) = operation.get_mut("requestBody") {
        binary(body);
    }
    for parameter in operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        if parameter["schema"]["type"] == "string" && name != "kind" {
            parameter["schema"]["pattern"] = json!("^[0-9a-f]{64}$");
        }
        if let Some((schema, example)) = examples::of_parameter(&name) {
            for (key, value) in schema.as_object().into_iter().flatten() {
                parameter["schema"][key] = value.clone();
            }
            parameter["example"] = example;
        }
    }
    // Signed requests: the three headers of RFC 9421 and RFC 9530.
    if operation["responses"].get("401").is_some() {
        let header = |name: &str, example: &str| json!({"name": name, "in": "header", "required": true, "schema": {"type": "string"}, "example": example});
        let signed = [
            header("content-digest", examples::CONTENT_DIGEST),
            header("signature-input", examples::SIGNATURE_INPUT),
            header("signature", examples::SIGNATURE),
        ];
        match operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut)
        {
            Some(parameters) => parameters.extend(signed),
            None => operation["parameters"] = json!(signed),
        }
    }
}

/// The entries of an object in an object, if it is there.
fn object<'a>(
    value: &'a mut Value,
    key: &str,
) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    let there = value.get_mut(key).and_then(Value::as_object_mut);
    there.into_iter().flatten()
}

/// Bytes are bytes, and not arrays of numbers.
fn binary(content: &mut Value) {
    for (media, described) in object(content, "content") {
        if matches!(
            media.as_str(),
            "application/cbor" | "application/octet-stream"
        ) {
            described["schema"] = json!({"type": "string", "format": "binary"});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        describe(&super::super::routes().1)
    }

    #[test]
    fn every_operation_says_all_its_statuses() {
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.len() > 20);
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("operations") {
                let responses = operation["responses"].as_object().expect("responses");
                assert!(!responses.contains_key("default"), "{method} {path}");
                assert!(
                    responses.keys().any(|s| s.starts_with('2')),
                    "{method} {path}"
                );
                assert!(responses.contains_key("500"), "{method} {path}");
                for response in responses.values() {
                    let Some(named) = response["$ref"].as_str() else {
                        continue;
                    };
                    let there = document.pointer(named.trim_start_matches('#'));
                    assert!(there.is_some(), "{named}");
                }
            }
        }
    }

    /// What the document says of tiles is what the route takes.
    #[test]
    fn examples_of_tiles_are_names_of_tiles() {
        use dawn_protocol::tlog::tile::{Bundle, TileId};
        let document = document();
        let mut found = 0;
        for (path, item) in document["paths"].as_object().expect("paths") {
            let Some(rest) = path.strip_prefix("/v1/log/tile/") else {
                continue;
            };
            let mut name = rest.to_owned();
            for parameter in item["get"]["parameters"].as_array().expect("parameters") {
                let place = format!("{{{}}}", parameter["name"].as_str().expect("a name"));
                let example = &parameter["example"];
                let text = example
                    .as_str()
                    .map_or_else(|| example.to_string(), str::to_owned);
                assert!(name.contains(&place), "{path} has no {place}");
                name = name.replace(&place, &text);
            }
            let parsed = match name.strip_prefix("entries/") {
                Some(bundle) => Bundle::parse(bundle).map(|_| ()),
                None => TileId::parse(&name).map(|_| ()),
            };
            assert_eq!(parsed, Ok(()), "{path}: {name}");
            found += 1;
        }
        assert_eq!(found, 4);
    }

    #[test]
    fn every_parameter_and_every_schema_has_an_example_that_fits() {
        let document = document();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("operations").values() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(!parameter["example"].is_null(), "{path}: {parameter}");
                }
            }
        }
        let schemas = document["components"]["schemas"]
            .as_object()
            .expect("schemas");
        for (name, schema) in schemas {
            let example = &schema["examples"][0];
            assert!(example.is_object(), "{name} has no example");
            for key in schema["required"].as_array().into_iter().flatten() {
                let key = key.as_str().expect("a name");
                assert!(
                    !example[key].is_null(),
                    "{name} has an example without {key}"
                );
            }
            for key in example.as_object().expect("an object").keys() {
                let known = schema["properties"].get(key);
                assert!(known.is_some(), "{name} has no {key}");
            }
        }
    }
}
