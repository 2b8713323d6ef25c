"""Hooks of tools/schemathesis.sh: administrative requests are signed by the PyPI package http-message-signatures, and half of all
paths and bodies are those of a federation that exists, so that more than the first check is reached.

Environment: DAWN_URL, DAWN_ROOT_KEY (PKCS#8 PEM), DAWN_ORG, DAWN_TASK, DAWN_STEWARD.
"""

import base64
import datetime
import hashlib
import os
import pathlib
import random

import cbor2
import requests
import schemathesis
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ED25519

URL = os.environ["DAWN_URL"]
KEY = load_pem_private_key(pathlib.Path(os.environ["DAWN_ROOT_KEY"]).read_bytes(), None)
KNOWN = {"org": os.environ["DAWN_ORG"], "task": os.environ["DAWN_TASK"], "steward": os.environ["DAWN_STEWARD"], "round": 1, "epoch": 1}
TAGS = {
    ("POST", "/v1/federation"): "dawn-federation-found",
    ("POST", "/v1/orgs"): "dawn-org-register",
    ("POST", "/v1/orgs/{org}/keys"): "dawn-org-rotate",
    ("POST", "/v1/orgs/{org}/revocations"): "dawn-org-revoke",
    ("POST", "/v1/orgs/{org}/approvals"): "dawn-org-approve",
    ("PUT", "/v1/orgs/{org}/steward"): "dawn-steward-enrol",
    ("POST", "/v1/federation/keys"): "dawn-server-key-replace",
    ("POST", "/v1/rosters"): "dawn-roster-post",
    ("POST", "/v1/tasks"): "dawn-task-create",
}
COVERED = ("@method", "@target-uri", "content-digest", "content-type")
CHANCE = random.Random(1)


def bodies():
    """What was said in the federation: founding document, roster, and every statement of the log."""
    found = [requests.get(f"{URL}/v1/federation", timeout=10).content, requests.get(f"{URL}/v1/rosters/1", timeout=10).content]
    entries = cbor2.loads(requests.get(f"{URL}/v1/log/entries", timeout=10).content)
    return found + [entry[1] for entry in entries]


BODIES = bodies()
KNOWN["digest"] = requests.get(f"{URL}/v1/tasks/{KNOWN['task']}/status", timeout=10).json()["rounds"][0]["model"]
print(f"hooks: {len(BODIES)} statements of the federation as bodies")


class Keys(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id):
        return KEY

    def resolve_public_key(self, key_id):
        return KEY.public_key()


def thumbprint():
    x = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
    jwk = '{"crv":"Ed25519","kty":"OKP","x":"%s"}' % x
    return base64.urlsafe_b64encode(hashlib.sha256(jwk.encode()).digest()).rstrip(b"=").decode()


class Signed(requests.auth.AuthBase):
    """Signs the request as it is sent."""

    def __init__(self, tag):
        self.tag = tag

    def __call__(self, request):
        if "content-type" not in request.headers:
            return request  # Nobody can sign what is not there.
        body = request.body or b""
        request.body = body.encode() if isinstance(body, str) else body
        for name in ("content-digest", "signature", "signature-input"):
            request.headers.pop(name, None)
        request.headers["content-digest"] = "sha-256=:%s:" % base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        now = datetime.datetime.now(datetime.timezone.utc)
        HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=Keys()).sign(
            request,
            key_id=thumbprint(),
            created=now,
            expires=now + datetime.timedelta(seconds=60),
            nonce=requests.get(f"{URL}/v1/nonce", timeout=10).json()["nonce"],
            tag=self.tag,
            label="dawn",
            covered_component_ids=COVERED,
            use_existing_digest=True,
        )
        return request


def as_bytes(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    data = getattr(value, "data", None)
    return data if isinstance(data, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.serializer("application/cbor")
def cbor(ctx, value):
    return as_bytes(value)


@schemathesis.hook
def map_body(context, body):
    return CHANCE.choice(BODIES) if CHANCE.random() < 0.5 else body


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and CHANCE.random() < 0.5:
        path_parameters = {name: KNOWN.get(name, value) for name, value in path_parameters.items()}
    return path_parameters


@schemathesis.hook
def before_call(context, case, kwargs):
    # Waiting for work is what the query is for, and not what is tried here.
    if case.query and "wait" in case.query and str(case.query["wait"]).isdigit():
        case.query["wait"] = 0
    tag = TAGS.get((case.method.upper(), case.operation.path))
    if tag and CHANCE.random() < 0.8:
        kwargs["auth"] = Signed(tag)
