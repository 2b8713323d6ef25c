//! What a server can do to a caller: send too much, too little, garbage, redirects, refusals, silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dawn_identity::{Digest, OrgId, Organisation, SecretKey, StewardId, TaskId, Validity};
use dawn_protocol::RoundId;
use dawn_transport::{Api, RetryPolicy, RoundPoll, Settings, SubmissionBody, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TASK: TaskId = TaskId(Digest([7; 32]));

/// Answers the n-th connection with what `answer(n, request head)` says, and closes it.
async fn serve(
    answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, count) = (answer.clone(), count.clone());
            tokio::spawn(async move {
                let mut stream = stream;
                let head = read_request(&mut stream).await;
                let number = count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(&answer(number, &head)).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (url, served)
}

/// The request's head, followed by its body as text.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0usize);
            if bytes.len() >= end + 4 + length {
                return text;
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return text,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn ok(body: &[u8]) -> Vec<u8> {
    response(
        "200 OK",
        &format!("content-length: {}\r\n", body.len()),
        body,
    )
}

fn client(url: &str) -> Api {
    let settings = Settings {
        exchange_timeout: Duration::from_secs(5),
        retry: RetryPolicy {
            attempts: 3,
            first: Duration::from_millis(1),
            longest: Duration::from_millis(5),
        },
        ..Settings::default()
    };
    Api::with_settings(url, settings).expect("client")
}

#[test]
fn only_plain_http_urls_are_taken() {
    for bad in [
        "",
        "localhost:80",
        "ftp://h/",
        "http://",
        "file:///etc/passwd",
        "http://h/?q=1",
        "http://h/#f",
    ] {
        assert!(
            matches!(Api::new(bad), Err(TransportError::BaseUrl(_))),
            "{bad}"
        );
    }
    assert_eq!(
        Api::new("http://h:1/prefix").expect("client").base_url(),
        "http://h:1/prefix/"
    );
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused() {
    let (url, _) = serve(|_, _| response("200 OK", "content-length: 99999999999\r\n", b"x")).await;
    let error = client(&url).log_head().await.expect_err("too large");
    assert!(matches!(error, TransportError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut_off() {
    let (url, _) = serve(|_, _| {
        let mut endless = response("200 OK", "transfer-encoding: chunked\r\n", b"");
        for _ in 0..100 {
            endless.extend_from_slice(b"1000\r\n");
            endless.extend_from_slice(&[0u8; 0x1000]);
            endless.extend_from_slice(b"\r\n");
        }
        endless
    })
    .await;
    let error = client(&url).log_head().await.expect_err("too large");
    assert!(matches!(error, TransportError::TooLarge { .. }), "{error}");
    let mut sink = Vec::new();
    let round = RoundId {
        task: TASK,
        number: 1,
    };
    let error = client(&url)
        .download_transcript(&round, 10_000, &mut sink)
        .await
        .expect_err("too large");
    assert!(
        matches!(error, TransportError::TooLarge { limit: 10_000 }),
        "{error}"
    );
    assert!(sink.len() <= 10_000);
}

#[tokio::test]
async fn overload_is_waited_out_and_refusals_are_final() {
    let (url, served) = serve(|number, _| match number {
        0 => response(
            "503 Service Unavailable",
            "retry-after: 0\r\ncontent-length: 0\r\n",
            b"",
        ),
        1 => response("429 Too Many Requests", "content-length: 0\r\n", b""),
        _ => ok(b""),
    })
    .await;
    client(&url).health().await.expect("third time");
    assert_eq!(served.load(Ordering::SeqCst), 3);

    let body =
        br#"{"type":"about:blank","title":"Conflict","status":409,"detail":"another document"}"#;
    let (url, served) = serve(move |_, _| {
        let headers = format!(
            "content-type: application/problem+json\r\ncontent-length: {}\r\n",
            body.len()
        );
        response("409 Conflict", &headers, body)
    })
    .await;
    let error = client(&url).health().await.expect_err("refused");
    let TransportError::Problem(problem) = &error else {
        panic!("{error}")
    };
    assert_eq!((problem.status, problem.title.as_str()), (409, "Conflict"));
    assert_eq!(problem.detail, "another document");
    assert_eq!(
        served.load(Ordering::SeqCst),
        1,
        "a refusal is not repeated"
    );
}

#[tokio::test]
async fn attempts_end() {
    let (url, served) = serve(|_, _| response("500 Oops", "content-length: 0\r\n", b"")).await;
    let error = client(&url).health().await.expect_err("down");
    assert_eq!(error.status(), Some(500));
    assert_eq!(served.load(Ordering::SeqCst), 3);
    let error = client("http://127.0.0.1:1")
        .health()
        .await
        .expect_err("nobody there");
    assert!(matches!(error, TransportError::Connection(_)), "{error}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (url, served) = serve(|_, _| {
        response(
            "302 Found",
            "location: /elsewhere\r\ncontent-length: 0\r\n",
            b"",
        )
    })
    .await;
    let error = client(&url).health().await.expect_err("redirect");
    assert!(
        matches!(error, TransportError::UnexpectedStatus { status: 302 }),
        "{error}"
    );
    assert_eq!(served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let settings = Settings {
        exchange_timeout: Duration::from_millis(50),
        retry: RetryPolicy::never(),
        ..Settings::default()
    };
    let api = Api::with_settings(&url, settings).expect("client");
    assert!(matches!(api.health().await, Err(TransportError::Timeout)));
}

#[tokio::test]
async fn garbage_is_malformed_not_a_value() {
    for garbage in [
        &b""[..],
        b"\x9f\xff",
        b"\x80\x00",
        b"not cbor",
        &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        let owned = garbage.to_vec();
        let (url, _) = serve(move |_, _| ok(&owned)).await;
        let api = client(&url);
        let steward = StewardId(Digest([1; 32]));
        let round = RoundId {
            task: TASK,
            number: 1,
        };
        assert!(matches!(
            api.work(&steward, 0).await,
            Err(TransportError::Malformed { .. })
        ));
        assert!(matches!(
            api.packages(&round, &steward, 0).await,
            Err(TransportError::Malformed { .. })
        ));
        assert!(matches!(
            api.statements(&round).await,
            Err(TransportError::Malformed { .. })
        ));
        assert!(matches!(
            api.open_round(&TASK, 0, 0).await,
            Err(TransportError::Malformed { .. })
        ));
        assert!(matches!(
            api.federation().await,
            Err(TransportError::Malformed { .. })
        ));
        assert!(matches!(
            api.task(&TASK).await,
            Err(TransportError::Malformed { .. })
        ));
        assert!(matches!(
            api.aggregator().await,
            Err(TransportError::Malformed { .. })
        ));
    }
}

#[tokio::test]
async fn the_open_round_is_polled_by_status() {
    let (url, _) = serve(|_, head| {
        assert!(head.starts_with("GET /v1/tasks/07"), "{head}");
        assert!(head.contains("round?after=4&wait=2 HTTP"), "{head}");
        response("204 No Content", "", b"")
    })
    .await;
    assert!(matches!(
        client(&url).open_round(&TASK, 4, 2).await,
        Ok(RoundPoll::NotYet)
    ));
    let (url, _) = serve(|_, _| response("410 Gone", "content-length: 0\r\n", b"")).await;
    assert!(matches!(
        client(&url).open_round(&TASK, 4, 2).await,
        Ok(RoundPoll::Ended)
    ));
}

#[tokio::test]
async fn log_entries_must_be_the_ones_asked_for() {
    // [[5, h'00']]
    let (url, _) = serve(|_, _| ok(&[0x81, 0x82, 0x05, 0x41, 0x00])).await;
    let entries = client(&url).log_entries(5, 10).await.expect("entry 5");
    assert_eq!((entries.len(), entries[0].index), (1, 5));
    assert!(matches!(
        client(&url).log_entries(4, 10).await,
        Err(TransportError::Malformed { .. })
    ));
    assert!(matches!(
        client(&url).log_entries(5, 0).await,
        Err(TransportError::Malformed { .. })
    ));
}

#[tokio::test]
async fn statements_go_to_the_path_of_their_kind() {
    let (url, _) = serve(|_, head| {
        assert!(head.starts_with("PUT /v1/tasks/0707"), "{head}");
        assert!(
            head.contains("/rounds/3/statements/sealing-key HTTP"),
            "{head}"
        );
        assert!(head.ends_with("body"), "{head}");
        response("201 Created", "content-length: 0\r\n", b"")
    })
    .await;
    let round = RoundId {
        task: TASK,
        number: 3,
    };
    client(&url)
        .put_statement_bytes(&round, "sealing-key", b"body".to_vec())
        .await
        .expect("accepted");
    for bad in ["", "../opening", "a/b", "Report"] {
        let refused = client(&url)
            .put_statement_bytes(&round, bad, Vec::new())
            .await;
        assert!(matches!(refused, Err(TransportError::Encode(_))), "{bad}");
    }
}

/// Answers, scalars and payloads are bounded by what the round can have.
#[tokio::test]
async fn what_belongs_to_a_round_is_cut_off_at_its_length() {
    let (url, _) = serve(|_, head| {
        assert!(head.starts_with("GET /v1/tasks/0707"), "{head}");
        // Without a length, so that only reading on shows it.
        response("200 OK", "", &[0; 81])
    })
    .await;
    let round = RoundId {
        task: TASK,
        number: 3,
    };
    let (api, digest) = (client(&url), Digest([5; 32]));
    assert_eq!(api.scalars(&round, 11).await.expect("88 bytes").len(), 81);
    let too_large = |error: TransportError| {
        assert!(
            matches!(error, TransportError::TooLarge { limit: 80 }),
            "{error}"
        );
    };
    too_large(api.scalars(&round, 10).await.expect_err("81 bytes"));
    for limit in [80, 81] {
        let mut sinks = [Vec::new(), Vec::new()];
        let [answers, payload] = &mut sinks;
        let got = [
            api.download_answers(&round, &digest, limit, answers).await,
            api.download_payload(&round, &digest, limit, payload).await,
        ];
        for (got, sink) in got.into_iter().zip(sinks) {
            match got {
                Ok(bytes) => assert_eq!((limit, bytes, sink.len()), (81, 81, 81)),
                Err(error) => {
                    too_large(error);
                    assert!(sink.len() <= 80);
                }
            }
        }
    }
    let garbage = api.challenge(&round).await;
    assert!(matches!(garbage, Err(TransportError::Malformed { .. })));
}

#[tokio::test]
async fn a_report_goes_before_its_answers() {
    let steward = StewardId(Digest([3; 32]));
    let (url, served) = serve(|number, head| {
        assert!(head.starts_with("PUT /v1/tasks/0707"), "{head}");
        assert!(head.contains("/rounds/3/reports/0303"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-length: 21\r\n"));
        assert!(
            head.ends_with("\r\n\r\nDWNR\x06\0\0\0reportanswers"),
            "{head}"
        );
        if number == 0 {
            response("503 Busy", "content-length: 0\r\n", b"")
        } else {
            response("201 Created", "content-length: 0\r\n", b"")
        }
    })
    .await;
    let round = RoundId {
        task: TASK,
        number: 3,
    };
    let answers = SubmissionBody::Bytes(b"answers".to_vec().into());
    client(&url)
        .put_report(&round, &steward, b"report", &answers)
        .await
        .expect("at the second attempt");
    assert_eq!(served.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_nonce_that_does_not_count_is_replaced_and_other_refusals_of_a_signature_are_final() {
    let refusing = |kind: &'static str, times: usize| {
        serve(move |number, head| {
            if head.starts_with("GET /v1/nonce") {
                let nonce = format!(r#"{{"nonce":"nonce-{number}","expires":1,"now":1}}"#);
                return ok(nonce.as_bytes());
            }
            // The connection before it handed the nonce out.
            let handed_out = number
                .checked_sub(1)
                .map(|before| format!("nonce-{before}"));
            assert!(
                handed_out.is_none_or(|nonce| head.contains(&nonce)),
                "{head}"
            );
            if number > 2 * times {
                return ok(b"");
            }
            let body = format!(r#"{{"type":"urn:dawn:problem:{kind}"}}"#);
            let headers = format!("content-length: {}\r\n", body.len());
            response("401 Unauthorized", &headers, body.as_bytes())
        })
    };
    let root = || SecretKey::from_seed(&[1; 32]);
    let issuer = SecretKey::from_seed(&[2; 32]);
    let (org, validity) = (OrgId::of(&root().public()), Validity { from: 1, until: 2 });
    let certificate = Organisation::certify(&org, &root(), &issuer.public(), validity, 1);
    let certificate = certificate.expect("certificate");
    let organisation = Organisation::from_parts("A", root(), issuer, certificate);
    let registration = organisation
        .expect("organisation")
        .register(&Digest([0; 32]), 1);
    let registration = registration.expect("registration");

    let (url, served) = refusing("stale-nonce", 2).await;
    let registered = client(&url).register_org(&registration, &root()).await;
    registered.expect("at the third attempt");
    assert_eq!(served.load(Ordering::SeqCst), 6);

    for (kind, requests) in [("stale-nonce", 6), ("unsigned", 2)] {
        let (url, served) = refusing(kind, usize::MAX / 2).await;
        let refused = client(&url).register_org(&registration, &root()).await;
        assert_eq!(refused.expect_err("refused").status(), Some(401), "{kind}");
        assert_eq!(served.load(Ordering::SeqCst), requests, "{kind}");
    }

    // What was not signed has no nonce that could be another.
    let (url, served) = refusing("stale-nonce", usize::MAX / 2).await;
    assert_eq!(
        client(&url).orgs().await.expect_err("refused").status(),
        Some(401)
    );
    assert_eq!(served.load(Ordering::SeqCst), 1);
}
