#!/usr/bin/env python3
"""Signed HTTP requests by the PyPI package http-message-signatures 3.0.0, which shares no code with this project.

    python3 http_signatures.py > http_signatures.json     # known answers
    python3 http_signatures.py verify < request.json      # verifies a request that somebody else signed

A request is an object with method, url, headers, body (hexadecimal) and key (the public key, hexadecimal).
"""

import base64
import datetime
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ED25519

NOW = 1_800_000_000


class Message:
    def __init__(self, method, url, headers, body):
        self.method, self.url, self.headers, self.body = method, url, headers, body


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, public=None, private=None):
        self.public, self.private = public, private

    def resolve_public_key(self, key_id):
        return self.public

    def resolve_private_key(self, key_id):
        return self.private


def thumbprint(public):
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    jwk = '{"crv":"Ed25519","kty":"OKP","x":"%s"}' % x
    return base64.urlsafe_b64encode(hashlib.sha256(jwk.encode()).digest()).rstrip(b"=").decode()


def digest(body):
    return "sha-256=:%s:" % base64.b64encode(hashlib.sha256(body).digest()).decode()


def signed(seed, method, url, body, components, tag, more=None, **options):
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    public = key.public_key().public_bytes_raw()
    headers = {"content-type": "application/cbor", "content-digest": digest(body), **(more or {})}
    message = Message(method, url, headers, body)
    at = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)
    HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=Keys(private=key)).sign(
        message,
        key_id=thumbprint(public),
        created=at,
        expires=at + datetime.timedelta(seconds=240),
        nonce="bm9uY2Utb2YtdGhlLXNlcnZlcg",
        tag=tag,
        covered_component_ids=components,
        use_existing_digest=True,
        **options,
    )
    return {
        "method": method,
        "url": url,
        "headers": {name.lower(): value for name, value in message.headers.items()},
        "body": body.hex(),
        "key": public.hex(),
        "tag": tag,
        "now": NOW + 10,
    }


def vectors():
    whole = ("@method", "@target-uri", "content-digest", "content-type")
    parts = ("@method", "@authority", "@path", "@query", "content-digest", "content-type")
    more = {"date": "Fri, 15 Jan 2027 08:00:00 GMT", "content-length": "5"}
    accepted = [
        signed(1, "POST", "http://127.0.0.1:8080/v1/orgs", b"hello", whole, "dawn-org-register"),
        signed(2, "PUT", "https://Example.COM:443/v1/orgs/ab/steward", b"", whole, "dawn-steward-enrol"),
        signed(3, "POST", "https://example.com/v1/tasks?a=1&b=%20c", b"\x00\xff", parts, "dawn-task-create"),
        signed(4, "POST", "http://[::1]:8080/v1/rosters?", b"x" * 1000, parts, "dawn-roster-post", include_alg=False),
        signed(5, "POST", "http://h:80", b"hello", whole + ("date", "content-length"), "dawn-org-rotate", more, label="a-b.c_1"),
    ]
    return {"by": "http-message-signatures 3.0.0 (PyPI)", "accepted": accepted, "rfc_9421_b_2_6": rfc()}


def rfc():
    """RFC 9421, appendix B.2.6, whose key is test-key-ed25519 of appendix B.1.4."""
    return {
        "method": "POST",
        "url": "https://example.com/foo?param=Value&Pet=dog",
        "headers": {
            "host": "example.com",
            "date": "Tue, 20 Apr 2021 02:07:55 GMT",
            "content-type": "application/json",
            "content-digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
            "content-length": "18",
            "signature-input": 'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
            ';created=1618884473;keyid="test-key-ed25519"',
            "signature": "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
        },
        "body": b'{"hello": "world"}'.hex(),
        "pem": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n",
    }


def verify(request):
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(request["key"]))
    body = bytes.fromhex(request["body"])
    message = Message(request["method"], request["url"], request["headers"], body)
    verifier = HTTPMessageVerifier(signature_algorithm=ED25519, key_resolver=Keys(public=public))
    # Its own check of the age would look at today's clock.
    verifier.validate_created_and_expires = lambda *_, **__: None
    results = verifier.verify(message, max_age=None, body=body)
    assert len(results) == 1 and results[0].body == body
    print(json.dumps({"covered": list(results[0].covered_components), "parameters": dict(results[0].parameters)}))


if __name__ == "__main__":
    if sys.argv[1:] == ["verify"]:
        verify(json.load(sys.stdin))
    else:
        json.dump(vectors(), sys.stdout, indent=1)
        print()
